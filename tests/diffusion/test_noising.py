"""The forward process against its formula in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numbers_of_stages import SCHEDULE

from diffattr.diffusion.noising import alphas_cumprod, noised, strata_midpoints


def test_alphas_are_the_cumulated_product_of_one_minus_beta():
    expected = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    # A product of a thousand float32 factors.
    np.testing.assert_allclose(alphas_cumprod(SCHEDULE).numpy(), expected, rtol=1e-4)


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
