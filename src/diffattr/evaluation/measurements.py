"""Measurements: what predictions are held against.

    loss                   mean over timesteps of the denoising loss (L_Simple)
    weighted-mse           mean over timesteps of the loss times its weight in the ELBO (L_ELBO)
    mean-squared-l2-norm   mean over timesteps of the mean square of the prediction

The first two are means over the same tables; the third has a table of its own, filled by the same
evaluation of the models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from diffattr.artifacts import ArtifactError, read_arrays
from diffattr.config import NoiseSchedule


@dataclass(frozen=True)
class Quantity:
    """One measured quantity: a weighted mean over the timesteps of one table.

    `weights` are None for equal ones.
    """

    table: str
    weights: Float[np.ndarray, " timestep"] | None = None

    def mean(
        self, table: Float[np.ndarray, "subset timestep query"]
    ) -> Float64[np.ndarray, "subset query"]:
        """Return the mean over timesteps of weight times value."""
        if self.weights is None:
            return table.mean(axis=1, dtype=np.float64)
        weights = self.weights.astype(np.float64)
        return np.einsum("stq,t->sq", table.astype(np.float64), weights) / len(weights)


LOSS = Quantity("losses")
SQUARES = Quantity("squares")


def quantity(name: str, n_timesteps: int, schedule: NoiseSchedule) -> Quantity:
    """Return a measured quantity by its name, for tables of so many timesteps."""
    if name == "loss":
        return LOSS
    if name == "mean-squared-l2-norm":
        return SQUARES
    # Imports torch, which plain losses do without.
    from diffattr.diffusion.noising import elbo_weights, strata_midpoints

    midpoints = strata_midpoints(n_timesteps, schedule.n_timesteps)
    return Quantity("losses", elbo_weights(schedule).numpy()[midpoints])


def gather(
    tables: Sequence[str | Path],
    n_seeds: int,
    n_blocks: int,
    quantity: Quantity,
) -> tuple[Float64[np.ndarray, "seed subset query"], list[int]]:
    """Return one quantity of all models, and the subsets' numbers.

    `tables` are in the order of seeds, then blocks.

    Raises:
        ArtifactError: a value is not finite, or a table is missing.
    """
    stores = [read_arrays(path) for path in tables]
    for store in stores:
        if not np.isfinite(store[quantity.table]).all():
            raise ArtifactError(
                f"{store.path}: holds losses that are not finite numbers: the training of its"
                " models diverged; lower training.learning_rate"
            )
    means = [quantity.mean(store[quantity.table]) for store in stores]
    by_seed = [means[seed * n_blocks : (seed + 1) * n_blocks] for seed in range(n_seeds)]
    subsets = [number for store in stores[:n_blocks] for number in store.attribute("subsets")]
    return np.stack([np.concatenate(blocks) for blocks in by_seed]), subsets
