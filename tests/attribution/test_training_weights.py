"""Weights of training images in the shared kernel, which TRAK leaves at one."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from diffattr.attribution import METHODS
from diffattr.attribution.base import KernelMethod
from diffattr.attribution.kernel import Kernel

N_TRAIN, N_QUERIES = 6, 4
LAMBDAS = [1e-2, 1.0, 100.0]
FORMS = pytest.mark.parametrize("form", ["primal", "dual"])


@dataclass(frozen=True, kw_only=True)
class Weighed(KernelMethod):
    """An image weighs its number times the ridge: a kernel method with weights of its own."""

    def train_weights(self, train, ridge):
        assert train.factor.shape == (N_TRAIN, len(train.kernel.eigenvalues))
        return ridge * np.arange(1.0, N_TRAIN + 1)


def features(k):
    generator = np.random.default_rng(0)
    return generator.normal(size=(N_TRAIN, k)), generator.normal(size=(N_QUERIES, k))


def weighed_by_inverse(train, queries, lam):
    ridge = lam * np.mean([phi @ phi for phi in train])
    inverse = np.linalg.inv(train.T @ train + ridge * np.eye(train.shape[1]))
    return np.array(
        [
            [query @ inverse @ phi * ridge * (n + 1) for n, phi in enumerate(train)]
            for query in queries
        ]
    )


@FORMS
@pytest.mark.parametrize("k", [3, 15])
@pytest.mark.parametrize("lam", LAMBDAS)
def test_weights_multiply_the_scores_of_their_images(form, k, lam):
    train, queries = features(k)
    found = (
        Weighed().attribute(train, queries, kernel=Kernel.from_features(train, form)).scores(lam)
    )
    expected = weighed_by_inverse(train, queries, lam)
    # 1e-8: rounding grows with the condition number, here below 1e5.
    assert np.abs(found - expected).max() <= 1e-8 * np.abs(expected).max()


@given(
    st.lists(st.lists(st.booleans(), min_size=N_TRAIN, max_size=N_TRAIN), min_size=1, max_size=5),
    st.sampled_from(["primal", "dual"]),
    st.sampled_from([3, 15]),
)
@settings(deadline=None, max_examples=40)
def test_predictions_add_weighed_scores_for_any_masks(rows, form, k):
    train, queries = features(k)
    attribution = Weighed().attribute(train, queries, kernel=Kernel.from_features(train, form))
    found = attribution.predictions([np.flatnonzero(mask) for mask in rows], LAMBDAS)
    for lam, sums in zip(LAMBDAS, found, strict=True):
        tau = weighed_by_inverse(train, queries, lam)
        for row, mask in zip(sums, rows, strict=True):
            expected = [
                sum(t for t, inside in zip(own, mask, strict=True) if inside) for own in tau
            ]
            # 1e-6: float32, relative to the terms of the sum, which may cancel.
            assert np.abs(row - expected).max() <= 1e-6 * np.abs(tau).max()


@pytest.mark.parametrize("k", [3, 15])
def test_scores_among_training_images_are_the_hat_matrix_of_ridge_regression(k):
    train, _ = features(k)
    hat = METHODS["trak"].attribute(train, train).scores(0.3)
    ridge = 0.3 * np.mean([phi @ phi for phi in train])
    for column, target in enumerate(np.eye(N_TRAIN)):
        fitted = Ridge(alpha=ridge, fit_intercept=False).fit(train, target).predict(train)
        np.testing.assert_allclose(hat[:, column], fitted, atol=1e-10)  # two float64 solvers
