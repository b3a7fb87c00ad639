"""The lambda path of one eigendecomposition against an explicit inverse per lambda."""

import numpy as np
import pytest

from diffattr.attribution.kernel import Kernel
from diffattr.attribution.trak import Trak

LAMBDAS = [1e-4, 1e-2, 1.0, 100.0]
SHAPES = pytest.mark.parametrize(
    ("n_train", "k"), [(9, 4), (4, 9), (6, 6)], ids=["n>k", "k>n", "n=k"]
)
FORMS = pytest.mark.parametrize("form", ["primal", "dual"])


def features(n_train, k, n_queries=5, seed=0):
    generator = np.random.default_rng(seed)
    # Rows of very different lengths, as gradients have.
    train = generator.normal(size=(n_train, k)) * np.exp(generator.normal(size=(n_train, 1)))
    return train, generator.normal(size=(n_queries, k))


def by_inverse(train, queries, lam):
    """The formula, image by image, with the mean diagonal by its definition."""
    mean_diagonal = np.mean([phi @ phi for phi in train])
    kernel = sum(np.outer(phi, phi) for phi in train) + lam * mean_diagonal * np.eye(train.shape[1])
    inverse = np.linalg.inv(kernel)
    return np.array([[query @ inverse @ phi for phi in train] for query in queries])


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@FORMS
@SHAPES
@pytest.mark.parametrize("lam", LAMBDAS)
def test_scores_equal_the_explicit_inverse(n_train, k, form, lam):
    train, queries = features(n_train, k)
    found = (
        Trak(output_function="loss")
        .attribute(train, queries, kernel=Kernel.from_features(train, form))
        .scores(lam)
    )
    # 1e-8: rounding of the inverse grows with the condition number, here up to about 1e5.
    assert relative_error(found, by_inverse(train, queries, lam)) < 1e-8


@FORMS
@pytest.mark.parametrize("lam", LAMBDAS)
def test_features_of_low_rank_are_no_exception(form, lam):
    # Duplicates and a zero gradient leave the Gram matrix singular: the ridge alone inverts it.
    train, queries = features(8, 5)
    train[3], train[4] = train[2], 0
    train[:, 1] = 2 * train[:, 0]
    found = (
        Trak(output_function="loss")
        .attribute(train, queries, kernel=Kernel.from_features(train, form))
        .scores(lam)
    )
    assert np.isfinite(found).all()
    assert relative_error(found, by_inverse(train, queries, lam)) < 1e-8


@SHAPES
def test_both_forms_give_the_same_scores_and_predictions(n_train, k):
    train, queries = features(n_train, k)
    masks = np.random.default_rng(1).random((7, n_train)) < 0.5
    primal, dual = (
        Trak(output_function="loss").attribute(
            train, queries, kernel=Kernel.from_features(train, form)
        )
        for form in ("primal", "dual")
    )
    for lam in LAMBDAS:
        assert relative_error(primal.scores(lam), dual.scores(lam)) < 1e-8
    # 1e-6: predictions are stored as float32.
    subsets = [np.flatnonzero(mask) for mask in masks]
    found, expected = (of.predictions(subsets, LAMBDAS) for of in (primal, dual))
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize(("n_train", "k", "form"), [(9, 4, "primal"), (4, 9, "dual")])
def test_the_smaller_gram_matrix_is_decomposed(n_train, k, form):
    train, _ = features(n_train, k)
    kernel = Kernel.from_features(train)
    assert kernel.form == form
    assert kernel.eigenvectors.shape == (4, 4)


@FORMS
@SHAPES
def test_the_mean_diagonal_is_the_mean_squared_length_of_the_features(n_train, k, form):
    train, _ = features(n_train, k)
    kernel = Kernel.from_features(train, form)
    expected = np.mean([sum(value**2 for value in phi) for phi in train])
    assert kernel.mean_diagonal == pytest.approx(expected, rel=1e-12)
    assert kernel.ridge(0.3) == pytest.approx(0.3 * expected, rel=1e-12)


def test_lambda_is_relative_so_that_the_scale_of_features_does_not_matter():
    train, queries = features(9, 4)
    first = Trak(output_function="loss").attribute(train, queries).scores(0.1)
    scaled = Trak(output_function="loss").attribute(1e-6 * train, 1e-6 * queries).scores(0.1)
    np.testing.assert_allclose(scaled, first, rtol=1e-9)


@FORMS
def test_a_large_lambda_leaves_the_inner_product(form):
    train, queries = features(9, 4)
    kernel = Kernel.from_features(train, form)
    found = Trak(output_function="loss").attribute(train, queries, kernel=kernel).scores(
        1e9
    ) * kernel.ridge(1e9)
    # The next term of the series is smaller by the largest eigenvalue over the ridge, about 1e-8.
    assert relative_error(found, queries @ train.T) < 1e-7


def test_a_small_lambda_leaves_the_pseudo_inverse():
    train, queries = features(9, 4)
    found = Trak(output_function="loss").attribute(train, queries).scores(1e-10)
    expected = queries @ np.linalg.pinv(train.T @ train) @ train.T
    # The ridge is 1e-10 of the mean diagonal, hence below 1e-7 of the smallest eigenvalue.
    assert relative_error(found, expected) < 1e-7


@FORMS
@SHAPES
def test_predictions_are_sums_of_scores(n_train, k, form):
    train, queries = features(n_train, k)
    masks = np.random.default_rng(1).random((7, n_train)) < 0.5
    masks[0], masks[1] = False, True
    attribution = Trak(output_function="loss").attribute(
        train, queries, kernel=Kernel.from_features(train, form)
    )
    found = attribution.predictions([np.flatnonzero(mask) for mask in masks], LAMBDAS)
    assert found.dtype == np.float32
    for lam, sums in zip(LAMBDAS, found, strict=True):
        tau = attribution.scores(lam)
        for mask, row in zip(masks, sums, strict=True):
            expected = [sum(scores[image] for image in np.flatnonzero(mask)) for scores in tau]
            # 1e-6: float32, relative to the largest prediction.
            assert np.abs(row - expected).max() <= 1e-6 * np.abs(sums).max()


def test_float32_features_are_solved_in_float64():
    train, queries = (side.astype(np.float32) for side in features(9, 4))
    found = Trak(output_function="loss").attribute(train, queries).scores(1e-4)
    expected = by_inverse(train.astype(np.float64), queries.astype(np.float64), 1e-4)
    assert relative_error(found, expected) < 1e-8


def test_eigenvalues_are_never_negative():
    # Rank 1: rounding puts some of the zero eigenvalues below zero.
    train = np.outer(np.ones(8), np.random.default_rng(0).normal(size=8))
    assert (np.linalg.eigvalsh(train.T @ train) < 0).any()
    assert (Kernel.from_features(train).eigenvalues >= 0).all()
