"""DDIM against its update written out."""

import weakref

import numpy as np
import pytest
import torch
from tiny import SCHEDULE, network

from diffattr import rng
from diffattr.config import Sampling
from diffattr.diffusion.sampling import Sampler, sampling_timesteps

SEED, N_STEPS = 3, 10
SAMPLING = Sampling(n_images=3, n_steps=N_STEPS)


def sampler(sampling=SAMPLING, seed=SEED, **options):
    return Sampler(network(), SCHEDULE, sampling, seed, **options)


def by_hand(number, n_steps=N_STEPS):
    """Song et al. (2021), eq. 12, eta 0, with the clean estimate clipped to [-1, 1].

    Timesteps are multiples of T/n, rounded down: ... 2T/n, T/n, 0.
    """
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    double = network().double()
    x = rng.Stream(SEED, "generation").normal(number, 0, 0, (1, 8, 8)).astype(np.float64)
    stride = 1000 // n_steps
    for t in range((n_steps - 1) * stride, -1, -stride):
        with torch.no_grad():
            noise = double(torch.tensor(x[None]), torch.tensor([t])).sample[0].numpy()
        clean = np.clip((x - np.sqrt(1 - abar[t]) * noise) / np.sqrt(abar[t]), -1, 1)
        before = abar[t - stride] if t >= stride else 1.0
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
    return np.clip(x, -1, 1)


@pytest.fixture(scope="module")
def generated():
    return sampler().images(range(3))


def test_images_equal_the_update_written_out(generated):
    assert generated.shape == (3, 1, 8, 8)
    for number, image in enumerate(generated):
        # float32 rounding, carried through ten steps.
        np.testing.assert_allclose(image, by_hand(number), atol=1e-3)


@pytest.mark.parametrize("n_steps", [1, 7, 40])
def test_every_number_of_steps_equals_the_update_written_out(n_steps):
    (image,) = sampler(Sampling(n_images=1, n_steps=n_steps)).images([0])
    # As above; rounding grows with the steps, and the clipping holds it down.
    np.testing.assert_allclose(image, by_hand(0, n_steps), atol=2e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_an_image_depends_on_its_number_alone(generated, batch_size):
    more = sampler(batch_size=batch_size).images(range(5))
    # float32 sums in another order, carried through ten steps.
    np.testing.assert_allclose(more[:3], generated, atol=1e-4)


def test_seeds_differ_and_the_global_random_state_changes_nothing(generated):
    torch.manual_seed(1)
    np.testing.assert_array_equal(sampler().images(range(3)), generated)
    assert not np.allclose(sampler(seed=SEED + 1).images([0]), generated[:1])


def test_an_image_needs_no_step_but_the_last(monkeypatch):
    steps, held = Sampler._steps, []

    def watched(self, numbers):
        made = []
        for step in steps(self, numbers):
            made.append(weakref.ref(step))
            yield step
            del step
            held.append(sum(ref() is not None for ref in made))

    monkeypatch.setattr(Sampler, "_steps", watched)
    sampler().images(range(3))
    assert len(held) == N_STEPS
    # Snakemake's estimate of a job's memory does not grow with the steps.
    assert max(held) <= 2


def test_a_trajectory_ends_in_the_generated_image_and_has_a_step_per_timestep():
    sampling = Sampling(n_images=3, n_steps=4)
    drawn = sampler(sampling).images(range(3))
    found = sampler(sampling, batch_size=2).trajectories(range(3))
    assert found.shape == (3, 4, 1, 8, 8)
    assert np.abs(found).max() <= 1  # the sampler clips what it foresees
    np.testing.assert_allclose(found[:, -1], drawn, atol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 4, 10, 50])
def test_the_sampler_s_timesteps_go_down_to_zero_in_equal_strides(n_steps):
    found = sampling_timesteps(SCHEDULE, Sampling(n_images=1, n_steps=n_steps))
    assert found == [1000 // n_steps * step for step in range(n_steps)][::-1]
