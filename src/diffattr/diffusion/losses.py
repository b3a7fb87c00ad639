"""The measurement: the loss, and other output functions, of every model on every query.

The loss of Ho et al. (2020), eq. 14: the squared error of the predicted noise, mean over pixels.
Output functions are arguments, since their registry is in a package to the right of this one. Every
model sees the same noise, so that models differ only by their training.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64

from diffattr import rng
from diffattr.config import Losses, NoiseSchedule
from diffattr.diffusion.denoising import Denoising, OutputFunction
from diffattr.diffusion.models import predict, slices
from diffattr.diffusion.noising import (
    alphas_cumprod,
    elbo_weights,
    noised,
    stacked_noise,
    strata_midpoints,
)


@torch.inference_mode()
def loss_tables(
    networks: Sequence[torch.nn.Module],
    images: Float32[np.ndarray, "query channel height width"],
    ids: Int64[np.ndarray, " query"],
    split: str,
    schedule: NoiseSchedule,
    losses: Losses,
    seed: int,
    functions: Mapping[str, OutputFunction],
    *,
    labels: Int64[np.ndarray, " query"] | None = None,
    batch_size: int = 128,
    device: str = "cpu",
) -> dict[str, Float32[np.ndarray, "subset timestep query"]]:
    """Return one table per output function, averaged over noise draws.

    The timesteps are the midpoints of `losses.n_timesteps` equal strata. Noise is keyed by (split,
    image, timestep, draw), never by the model. Text-conditioned networks need `labels`.
    """
    timesteps = strata_midpoints(losses.n_timesteps, schedule.n_timesteps)
    abar, weights = alphas_cumprod(schedule), elbo_weights(schedule)
    stream = rng.Stream(seed, "losses", split)
    grid = (len(images), len(timesteps), losses.draws)
    queries, strata, draws = (axis.ravel() for axis in np.indices(grid))
    sources = torch.from_numpy(images)
    networks = [network.eval().to(device) for network in networks]
    shape = len(networks), len(queries)
    tables = {name: np.empty(shape, dtype=np.float32) for name in functions}
    for batch in slices(len(queries), batch_size, f"losses {split}"):
        t = timesteps[strata[batch]]
        keys = zip(ids[queries[batch]].tolist(), t.tolist(), draws[batch].tolist(), strict=True)
        noise = stacked_noise(stream, keys, images.shape[1:])
        t = torch.from_numpy(t)
        x = noised(sources[queries[batch]], noise, abar[t]).to(device)
        noise, weight, t = noise.to(device), weights[t].to(device), t.to(device)
        of_batch = None if labels is None else torch.from_numpy(labels[queries[batch]]).to(device)
        for number, network in enumerate(networks):
            denoising = Denoising(predict(network, x, t, of_batch), noise, weight)
            for name, function in functions.items():
                tables[name][number, batch] = function(denoising).cpu().numpy()
    return {
        name: np.ascontiguousarray(table.reshape(-1, *grid).mean(axis=3).transpose(0, 2, 1))
        for name, table in tables.items()
    }
