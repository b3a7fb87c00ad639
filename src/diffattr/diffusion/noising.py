"""The forward process: x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps.

Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models" (NeurIPS 2020), eq. 4.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from diffattr import rng
from diffattr.config import NoiseSchedule


def alphas_cumprod(schedule: NoiseSchedule) -> Float32[Tensor, " timestep"]:
    """Return abar_t for every timestep of the schedule."""
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=schedule.n_timesteps,
        beta_schedule=schedule.beta_schedule,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
    ).alphas_cumprod


def elbo_weights(schedule: NoiseSchedule) -> Float32[Tensor, " timestep"]:
    """Return the weight of each timestep's squared error in the ELBO.

        w_t = beta_t^2 / (2 sigma_t^2 alpha_t (1 - abar_t)) = beta_t / (2 alpha_t (1 - abar_t))

    with sigma_t^2 = beta_t. Source: Ho et al. (2020), eq. 12.
    """
    abar = alphas_cumprod(schedule)
    previous = torch.cat([torch.ones(1), abar[:-1]])
    alpha = abar / previous
    return (1 - alpha) / (2 * alpha * (1 - abar))


def noised(
    images: Float32[Tensor, "*batch channel height width"],
    noise: Float32[Tensor, "*batch channel height width"],
    abar: Float32[Tensor, "*batch"],
) -> Float32[Tensor, "*batch channel height width"]:
    """Return x_t, given abar_t of every image."""
    abar = abar[..., None, None, None]
    return abar.sqrt() * images + (1 - abar).sqrt() * noise


def strata_midpoints(n: int, n_timesteps: int) -> Int64[np.ndarray, " timestep"]:
    """Return the middle timestep of each of `n` equal strata (midpoint rule for a mean over t)."""
    return (2 * np.arange(n) + 1) * n_timesteps // (2 * n)


def stacked_noise(
    stream: rng.Stream, keys: Iterable[tuple[int, int, int]], shape: tuple[int, ...]
) -> Float32[Tensor, "item channel height width"]:
    """Return the noise of each (image, timestep, draw)."""
    return torch.from_numpy(np.stack([stream.normal(*key, shape) for key in keys]))
