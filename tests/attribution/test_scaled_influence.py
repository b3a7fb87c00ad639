"""Weights of training images against explicit inverses, in float64."""

import numpy as np
import pytest

from diffattr.attribution import METHODS
from diffattr.attribution.kernel import Kernel
from diffattr.attribution.method import with_options

GENERATOR = np.random.default_rng(0)
FORMS = pytest.mark.parametrize("form", ["primal", "dual"])
SHAPES = pytest.mark.parametrize(("n_train", "k"), [(12, 4), (6, 15)])
LAMBDAS = pytest.mark.parametrize("lam", [1e-2, 1.0, 100.0])


def sides(n_train, k):
    return GENERATOR.normal(size=(n_train, k)), GENERATOR.normal(size=(3, k))


def inverse(train, lam):
    ridge = lam * np.mean([phi @ phi for phi in train])
    return np.linalg.inv(train.T @ train + ridge * np.eye(train.shape[1]))


def assert_close(found, expected):
    # 1e-8: rounding grows with the condition number, here below 1e5.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


@FORMS
@SHAPES
@LAMBDAS
@pytest.mark.parametrize("name", ["relative-influence", "renormalised-influence"])
def test_scores_are_influence_over_the_length(name, form, n_train, k, lam):
    train, queries = sides(n_train, k)
    solve = inverse(train, lam)
    expected = np.empty((3, n_train))
    for n, phi in enumerate(train):
        length = np.linalg.norm(solve @ phi if name == "relative-influence" else phi)
        expected[:, n] = [query @ solve @ phi / length for query in queries]
    kernel = Kernel.from_features(train, form)
    assert_close(METHODS[name].attribute(train, queries, kernel=kernel).scores(lam), expected)


@FORMS
@SHAPES
@LAMBDAS
@pytest.mark.parametrize("leverage", [True, False])
def test_das_is_influence_times_residual_over_one_minus_leverage(form, n_train, k, lam, leverage):
    train, queries = sides(n_train, k)
    losses = GENERATOR.random((n_train, 5)) * np.arange(1, n_train + 1)[:, None]
    solve = inverse(train, lam)
    expected = np.empty((3, n_train))
    for n, phi in enumerate(train):
        roots = [loss**0.5 for loss in losses[n]]
        length = sum(root**2 for root in roots) ** 0.5
        weight = sum(root / length for root in roots) / 5
        if leverage:
            weight /= 1 - phi @ solve @ phi
        expected[:, n] = [query @ solve @ phi * weight for query in queries]
    method = with_options(METHODS["das"], {"leverage": leverage})
    kernel = Kernel.from_features(train, form)
    assert_close(
        method.attribute(train, queries, kernel=kernel, losses=losses).scores(lam), expected
    )


@pytest.mark.parametrize("name", ["relative-influence", "renormalised-influence", "das"])
def test_a_training_image_without_gradient_scores_zero(name):
    train, queries = sides(6, 15)
    train[2] = 0
    losses = np.ones((6, 5))
    losses[3] = 0
    found = METHODS[name].attribute(train, queries, losses=losses).scores(0.1)
    assert np.isfinite(found).all()
    # Rounding of the eigenvectors, in float64.
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-9 * np.abs(found).max())


@pytest.mark.parametrize("name", ["trak", "relative-influence", "renormalised-influence", "das"])
def test_the_length_of_a_timestep_s_losses_and_of_all_features_does_not_matter(name):
    """Lambda is relative, so features times a number rank images as before: no rescaling needed."""
    train, queries = sides(6, 15)
    losses = GENERATOR.random((6, 5))
    first = METHODS[name].attribute(train, queries, losses=losses).scores(0.1)
    second = METHODS[name].attribute(32 * train, 32 * queries, losses=7 * losses).scores(0.1)
    ratios = second / first
    np.testing.assert_allclose(ratios, ratios[0, 0], rtol=1e-8)
