"""The measurement: how well each model denoises each query.

The loss of Ho et al. (2020), eq. 14: the squared error of the predicted noise, mean over pixels.
Every model sees the same noise, so that models differ by their training alone.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from tqdm import tqdm

from diffattr import rng
from diffattr.config import Losses, NoiseSchedule
from diffattr.diffusion.models import predict
from diffattr.diffusion.noising import alphas_cumprod, noised, stacked_noise, strata_midpoints


@torch.inference_mode()
def loss_tables(
    networks: Sequence[torch.nn.Module],
    images: Float32[np.ndarray, "query channel height width"],
    ids: Int64[np.ndarray, " query"],
    split: str,
    schedule: NoiseSchedule,
    losses: Losses,
    seed: int,
    *,
    labels: Int64[np.ndarray, " query"] | None = None,
    with_squares: bool = False,
    batch_size: int = 128,
    device: str = "cpu",
) -> dict[str, Float32[np.ndarray, "subset timestep query"]]:
    """Return `losses` of every model, timestep and query, averaged over noise draws.

    With `with_squares`, `squares` holds the mean squares of the predictions too. The timesteps are
    the midpoints of `losses.n_timesteps` equal strata. Noise is keyed by (split, image, timestep,
    draw), never by the model. `labels` are for networks that are told captions.
    """
    timesteps = strata_midpoints(losses.n_timesteps, schedule.n_timesteps)
    abar = alphas_cumprod(schedule)
    stream = rng.Stream(seed, "losses", split)
    grid = (len(images), len(timesteps), losses.draws)
    queries, strata, draws = (axis.ravel() for axis in np.indices(grid))
    sources = torch.from_numpy(images)
    networks = [network.eval().to(device) for network in networks]
    names = ["losses", "squares"] if with_squares else ["losses"]
    tables = {name: np.empty((len(networks), len(queries)), dtype=np.float32) for name in names}
    starts = range(0, len(queries), batch_size)
    for start in tqdm(starts, desc=f"losses {split}", unit="batch", mininterval=10):
        batch = slice(start, start + batch_size)
        t = timesteps[strata[batch]]
        noise = stacked_noise(
            stream,
            ids[queries[batch]].tolist(),
            t.tolist(),
            draws[batch].tolist(),
            images.shape[1:],
        )
        t = torch.from_numpy(t)
        x = noised(sources[queries[batch]], noise, abar[t]).to(device)
        noise, t = noise.to(device), t.to(device)
        of_batch = None if labels is None else torch.from_numpy(labels[queries[batch]]).to(device)
        for number, network in enumerate(networks):
            prediction = predict(network, x, t, of_batch)
            for name, against in (("losses", noise), ("squares", 0)):
                if name in tables:
                    square = (prediction - against).square().flatten(1).mean(1)
                    tables[name][number, batch] = square.cpu().numpy()
    averaged = {name: table.reshape(-1, *grid).mean(axis=3) for name, table in tables.items()}
    return {
        name: np.ascontiguousarray(table.transpose(0, 2, 1)) for name, table in averaged.items()
    }
