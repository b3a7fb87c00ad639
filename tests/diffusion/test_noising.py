"""The forward process against its formula in float64."""

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SCHEDULE

from diffattr import rng
from diffattr.diffusion.noising import alphas_cumprod, noised, stacked_noise, strata_midpoints


def test_alphas_are_the_cumulated_product_of_one_minus_beta():
    expected = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    # A product of a thousand float32 factors.
    np.testing.assert_allclose(alphas_cumprod(SCHEDULE).numpy(), expected, rtol=1e-4)


def cosine_betas(n):
    """Nichol and Dhariwal (2021), eq. 17, with the betas cut at 0.999."""

    def f(t):
        return math.cos((t / n + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - f(t + 1) / f(t), 0.999) for t in range(n)])


@pytest.mark.parametrize(
    ("kind", "betas"),
    [
        ("scaled_linear", np.linspace(0.0001**0.5, 0.02**0.5, 1000) ** 2),
        ("squaredcos_cap_v2", cosine_betas(1000)),
    ],
)
def test_the_other_schedules_follow_their_formulas(kind, betas):
    found = alphas_cumprod(msgspec.structs.replace(SCHEDULE, beta_schedule=kind)).numpy()
    # float32; the cosine schedule ends near 0, where only the absolute error is small.
    np.testing.assert_allclose(found, np.cumprod(1 - betas), rtol=1e-4, atol=1e-7)


def test_stacked_noise_is_each_triple_s_own():
    stream = rng.Stream(3, "noise")
    triples = [(7, 0, 1), (7, 900, 0), (2, 900, 1)]
    found = stacked_noise(stream, triples, (1, 2, 2)).numpy()
    for row, triple in zip(found, triples, strict=True):
        expected = rng.Stream(3, "noise").generator(*triple)
        np.testing.assert_array_equal(row, expected.standard_normal((1, 2, 2), dtype=np.float32))


def test_noised_images_follow_the_formula():
    generator = np.random.default_rng(0)
    x, noise = generator.standard_normal((2, 3, 4, 1, 5, 5))
    abar = generator.uniform(size=(3, 4))
    found = noised(*(torch.tensor(a, dtype=torch.float32) for a in (x, noise, abar)))
    for i in range(3):
        for j in range(4):
            expected = np.sqrt(abar[i, j]) * x[i, j] + np.sqrt(1 - abar[i, j]) * noise[i, j]
            np.testing.assert_allclose(found[i, j].numpy(), expected, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 1000), st.integers(1, 1000))
@settings(deadline=None)
def test_each_stratum_is_hit_once_in_its_middle(n, n_timesteps):
    n = min(n, n_timesteps)
    found = strata_midpoints(n, n_timesteps)
    assert len(found) == n
    for stratum, timestep in enumerate(found):
        low, high = stratum * n_timesteps / n, (stratum + 1) * n_timesteps / n
        assert low <= timestep + 0.5 <= high + 0.5
        assert abs(timestep - (low + high) / 2) <= 1


@pytest.mark.parametrize(
    ("n", "expected"), [(1, [500]), (2, [250, 750]), (4, [125, 375, 625, 875])]
)
def test_midpoints_by_hand(n, expected):
    assert strata_midpoints(n, 1000).tolist() == expected
