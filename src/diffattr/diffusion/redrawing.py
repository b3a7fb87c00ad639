"""Generated queries under other models than the one that drew them.

Model i belongs to query i: it was trained without the images that a method names for that query.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from diffattr.config import Losses, NoiseSchedule
from diffattr.diffusion.losses import loss_tables
from diffattr.diffusion.sampling import Sampler


def redrawn(
    networks: Sequence[torch.nn.Module],
    numbers: Sequence[int],
    schedule: NoiseSchedule,
    n_steps: int,
    seed: int,
    *,
    device: str = "cpu",
) -> Float32[np.ndarray, "query channel height width"]:
    """Return what each network makes of its own query's starting noise, in [-1, 1]."""
    images = []
    for network, number in zip(networks, numbers, strict=True):
        *_, last = Sampler(network, schedule, n_steps, seed, device).steps([number])
        images.append(last.images.clamp(-1, 1).cpu().numpy()[0])
    return np.stack(images)


def own_losses(
    networks: Sequence[torch.nn.Module],
    images: Float32[np.ndarray, "query channel height width"],
    numbers: Sequence[int],
    schedule: NoiseSchedule,
    losses: Losses,
    seed: int,
    *,
    batch_size: int = 128,
    device: str = "cpu",
) -> Float32[np.ndarray, "query timestep"]:
    """Return the losses of each query under its own network, with the noise of the measurement."""
    rows = []
    for query, network in enumerate(networks):
        table = loss_tables(
            [network],
            images[query : query + 1],
            np.array(numbers[query : query + 1]),
            "gen",
            schedule,
            losses,
            seed,
            batch_size=batch_size,
            device=device,
        )
        rows.append(table["losses"][0, :, 0])
    return np.stack(rows)
