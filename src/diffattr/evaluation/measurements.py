"""Measurements: what predictions are held against."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from diffattr.artifacts import ArtifactError, read_arrays


def gather(
    tables: Sequence[str | Path], n_seeds: int, n_blocks: int
) -> tuple[Float64[np.ndarray, "seed subset query"], list[int]]:
    """Return losses averaged over timesteps, and the subsets' numbers.

    `tables` are in the order of seeds, then blocks.

    Raises:
        ArtifactError: a loss is not finite.
    """
    stores = [read_arrays(path) for path in tables]
    for store in stores:
        if not np.isfinite(store["losses"]).all():
            raise ArtifactError(
                f"{store.path}: holds losses that are not finite numbers: the training of its"
                " models diverged; lower training.learning_rate"
            )
    means = [store["losses"].mean(axis=1, dtype=np.float64) for store in stores]
    by_seed = [
        np.concatenate(means[seed * n_blocks : (seed + 1) * n_blocks]) for seed in range(n_seeds)
    ]
    subsets = [number for store in stores[:n_blocks] for number in store.attribute("subsets")]
    return np.stack(by_seed), subsets
