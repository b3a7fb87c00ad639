"""How many loss timesteps does the measurement need? Thins out the tables of a finished demo."""

from pathlib import Path

import numpy as np
from common import arguments, show

from diffattr.artifacts import read_arrays
from diffattr.evaluation.ceiling import noise_ceiling
from diffattr.evaluation.lds import lds

options = arguments(__doc__)
root = Path("results", "smoke" if options.tiny else "digits")
methods = ("trak-4", "d-trak-4") if options.tiny else ("trak-100", "d-trak-100", "pixel-cosine")
rows = []
for split in ("val", "gen"):
    seeds = []
    for folder in sorted((root / "losses" / "lds").glob("seed-*")):
        n_blocks = len(list(folder.glob(f"block-*/{split}.zarr.zip")))
        blocks = [folder / f"block-{n}" / f"{split}.zarr.zip" for n in range(n_blocks)]
        seeds.append(np.concatenate([read_arrays(path)["loss"] for path in blocks]))
    if not seeds:
        continue
    losses = np.stack(seeds)  # (seed, subset, timestep, query)
    predictions = {
        method: read_arrays(root / "predictions" / method / f"{split}.zarr.zip")["predictions"]
        for method in methods
    }
    for step in (1, 2) if options.tiny else (1, 2, 4, 10):
        thinned = losses[:, :, step // 2 :: step]
        measurements = thinned.mean(axis=2)
        ceiling = noise_ceiling(measurements)
        best = [
            lds(path, measurements.mean(axis=0)).mean(axis=1).max() for path in predictions.values()
        ]
        rows.append([split, thinned.shape[2], *best, ceiling.bound if ceiling else None])
show(
    "LDS at the oracle lambda, and the bound, against the number of loss timesteps",
    ["split", "timesteps", *methods, "bound"],
    rows,
)
