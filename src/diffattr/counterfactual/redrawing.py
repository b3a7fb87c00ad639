"""Generated queries under other models than the one that drew them.

Model i belongs to query i: it was trained without the images that a method names for that query.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64

from diffattr.config import Losses, NoiseSchedule, Sampling
from diffattr.diffusion.denoising import loss
from diffattr.diffusion.losses import loss_tables
from diffattr.diffusion.sampling import Sampler


def redrawn(
    networks: Sequence[torch.nn.Module],
    numbers: Sequence[int],
    schedule: NoiseSchedule,
    sampling: Sampling,
    seed: int,
    *,
    labels: Int64[np.ndarray, " image"] | None = None,
    device: str = "cpu",
) -> Float32[np.ndarray, "query channel height width"]:
    """Return what each network makes of its own query's starting noise.

    `labels` are those of all generated images, for networks with captions.
    """
    drawn = [
        Sampler(network, schedule, sampling, seed, labels=labels, device=device).images([number])
        for network, number in zip(networks, numbers, strict=True)
    ]
    return np.concatenate(drawn)


def own_losses(
    networks: Sequence[torch.nn.Module],
    images: Float32[np.ndarray, "query channel height width"],
    numbers: Sequence[int],
    schedule: NoiseSchedule,
    losses: Losses,
    seed: int,
    *,
    labels: Int64[np.ndarray, " query"] | None = None,
    batch_size: int = 128,
    device: str = "cpu",
) -> Float32[np.ndarray, "query timestep"]:
    """Return the losses of each query under its own network, with the noise of the measurement."""
    tables = [
        loss_tables(
            [network],
            images[query : query + 1],
            np.array(numbers[query : query + 1]),
            "gen",
            schedule,
            losses,
            seed,
            {"loss": loss},
            labels=None if labels is None else labels[query : query + 1],
            batch_size=batch_size,
            device=device,
        )
        for query, network in enumerate(networks)
    ]
    return np.stack([table["loss"][0, :, 0] for table in tables])
