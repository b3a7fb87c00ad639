"""What every method in the registry must hold to; a new one is covered when it is registered."""

import dataclasses

import numpy as np
import pytest

from diffattr.attribution import METHODS
from diffattr.attribution.base import VectorMethod
from diffattr.evaluation.lds import lds
from diffattr.evaluation.planted import planted_truth

LAM = 0.1
N_QUERIES = 5

NO_OWN_COPY = {"random": "knows nothing of its images"}
NO_SIGN_ON_THE_LINEAR_MODEL = {
    "random": "knows nothing of its images",
    "pixel-dot": "inputs do not show whether a label pulls the fit up or down",
    "pixel-cosine": "inputs do not show whether a label pulls the fit up or down",
}

# Retraining-based methods compare no images (test_retraining.py), patch methods no vectors
# (test_nda.py), and those with a curvature solve with no kernel (test_store.py).
COMPARING = [
    name
    for name, method in METHODS.items()
    if isinstance(method, VectorMethod) and not method.curvature
]
every_method = pytest.mark.parametrize("name", COMPARING)
# More images than numbers per image, and fewer: kernel methods take another path.
every_shape = pytest.mark.parametrize(("n_train", "dim"), [(12, 4), (7, 20)], ids=["n>k", "k>n"])


def inputs(n_train, dim, seed=0):
    generator = np.random.default_rng(seed)
    sides = (generator.normal(size=(n, dim)).astype(np.float32) for n in (n_train, N_QUERIES))
    return tuple(sides)


def lambda_of(name):
    return LAM if METHODS[name].has_lambda else None


def attributed(name, train, queries):
    """The losses of an image move with it."""
    losses = np.abs(train[:, :3].astype(np.float64)) + 0.5
    return METHODS[name].attribute(train, queries, losses=losses)


def scores(name, train, queries):
    return attributed(name, train, queries).scores(lambda_of(name))


def assert_same(found, expected):
    # 1e-9: the same sums in another order, in float64, after a solve with condition below 1e4.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def without(exemptions):
    assert set(exemptions) <= set(METHODS)
    return pytest.mark.parametrize("name", [name for name in COMPARING if name not in exemptions])


@pytest.mark.parametrize("name", METHODS)
def test_it_is_a_frozen_value_that_reads_what_its_contract_supports(name):
    method = METHODS[name]
    assert method.reads in method.readable
    field = dataclasses.fields(method)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(method, field, "changed")


@every_method
@every_shape
def test_scores_are_one_finite_float64_per_query_and_training_image(name, n_train, dim):
    found = scores(name, *inputs(n_train, dim))
    assert found.shape == (N_QUERIES, n_train)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert np.unique(found).size == found.size  # equal scores carry no information


@every_method
@every_shape
def test_reordering_the_training_images_reorders_the_scores(name, n_train, dim):
    train, queries = inputs(n_train, dim)
    order = np.random.default_rng(1).permutation(n_train)
    assert_same(scores(name, train[order], queries), scores(name, train, queries)[:, order])


@every_method
@every_shape
def test_reordering_the_queries_reorders_the_scores(name, n_train, dim):
    train, queries = inputs(n_train, dim)
    order = np.random.default_rng(1).permutation(N_QUERIES)
    assert_same(scores(name, train, queries[order]), scores(name, train, queries)[order])


@every_method
@every_shape
def test_queries_one_at_a_time_score_as_all_at_once(name, n_train, dim):
    train, queries = inputs(n_train, dim)
    alone = [scores(name, train, queries[[query]])[0] for query in range(N_QUERIES)]
    assert_same(np.array(alone), scores(name, train, queries))


@every_method
@every_shape
def test_a_duplicated_training_image_scores_the_same_twice(name, n_train, dim):
    train, queries = inputs(n_train, dim)
    train[5] = train[2]
    found = scores(name, train, queries)
    assert_same(found[:, 5], found[:, 2])


@every_method
@every_shape
def test_predictions_are_sums_of_scores(name, n_train, dim):
    train, queries = inputs(n_train, dim)
    attribution = attributed(name, train, queries)
    masks = np.random.default_rng(1).random((6, n_train)) < 0.5
    masks[0], masks[1] = False, True
    lams = [1e-3, 1.0, 100.0] if lambda_of(name) else [None]
    found = attribution.predictions([np.flatnonzero(mask) for mask in masks], lams)
    assert found.shape == (len(lams), 6, N_QUERIES)
    assert found.dtype == np.float32
    for lam, sums in zip(lams, found, strict=True):
        tau = attribution.scores(lam)
        expected = np.array([[row[mask].sum() for row in tau] for mask in masks])
        # 1e-6: predictions are stored as float32.
        np.testing.assert_allclose(sums, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@every_method
def test_inputs_are_left_as_they_were_and_need_not_be_contiguous(name):
    train, queries = inputs(12, 4)
    copies = train.copy(), queries.copy()
    expected = scores(name, train, queries)
    assert np.array_equal(train, copies[0])
    assert np.array_equal(queries, copies[1])
    assert_same(scores(name, np.asfortranarray(train), np.asfortranarray(queries)), expected)


@without(NO_OWN_COPY)
@every_shape
def test_a_querys_own_copy_is_its_top_proponent(name, n_train, dim):
    # Rows of +1 and -1 have one length, so that not even an inner product can prefer a long one.
    generator = np.random.default_rng(3)
    train = np.unique(generator.choice([-1.0, 1.0], size=(60, dim)), axis=0).astype(np.float32)
    train = train[generator.permutation(len(train))[:n_train]]
    copies = np.arange(N_QUERIES)
    assert planted_truth(scores(name, train, train[copies]), copies).recall_at_1 == 1


class LinearRegression:
    """A model whose retraining has a closed form, with the gradients of its losses."""

    def __init__(self, n_train=80, n_queries=30, n_weights=3, seed=4):
        generator = np.random.default_rng(seed)
        weights = generator.normal(size=n_weights)
        self.x = generator.normal(size=(n_train, n_weights))
        self.y = self.x @ weights + generator.normal(size=n_train)
        self.x_queries = generator.normal(size=(n_queries, n_weights))
        self.y_queries = self.x_queries @ weights + generator.normal(size=n_queries)
        self.masks = np.zeros((200, n_train), dtype=bool)
        for mask in self.masks:
            mask[generator.permutation(n_train)[: n_train // 2]] = True

    def gradients(self):
        """Gradients of the squared errors at the least-squares fit to all: 2 x (x' w - y)."""
        fit = np.linalg.lstsq(self.x, self.y, rcond=None)[0]
        return tuple(
            2 * x * (x @ fit - y)[:, None]
            for x, y in ((self.x, self.y), (self.x_queries, self.y_queries))
        )

    def losses(self):
        """Losses (subset, query) of exact retraining on each subset."""
        fits = [np.linalg.lstsq(self.x[m], self.y[m], rcond=None)[0] for m in self.masks]
        return np.array([(self.x_queries @ fit - self.y_queries) ** 2 for fit in fits])


@without(NO_SIGN_ON_THE_LINEAR_MODEL)
def test_positive_scores_go_with_lower_losses_after_exact_retraining(name):
    model = LinearRegression()
    attribution = attributed(name, *model.gradients())
    subsets = [np.flatnonzero(mask) for mask in model.masks]
    predictions = attribution.predictions(subsets, [lambda_of(name)])[0]
    found = lds(predictions, model.losses())
    # With a sign turned round this would be its negative. Influence is exact to first order here,
    # and half of the images leave room for the second.
    assert found.mean() > 0.5
    assert np.median(found) > 0.5
