"""Measurements: what predictions are held against.

A measured quantity is the mean over timesteps of an output function, from a table of its own that
the evaluation of the models fills. One that is another function times the timestep's weight in the
ELBO is a weighted mean over the other's table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from diffattr.artifacts import ArtifactError, read_arrays
from diffattr.config import NoiseSchedule
from diffattr.features.output_functions import WEIGHTED


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


def quantity(name: str, n_timesteps: int, schedule: NoiseSchedule) -> Quantity:
    """Return a measured quantity by its name, for tables of so many timesteps."""
    if name not in WEIGHTED:
        return Quantity(name)
    # Imports torch, which plain means do without.
    from diffattr.diffusion.noising import elbo_weights, strata_midpoints

    midpoints = strata_midpoints(n_timesteps, schedule.n_timesteps)
    return Quantity(WEIGHTED[name], elbo_weights(schedule).numpy()[midpoints])


def gather(
    tables: Sequence[str | Path],
    n_seeds: int,
    n_blocks: int,
    quantity: Quantity,
) -> tuple[Float64[np.ndarray, "seed subset query"], list[int]]:
    """Return one quantity of all models, and the subsets' numbers.

    `tables` are in the order of seeds, then blocks.

    Raises:
        ArtifactError: a file is damaged, lacks the table, or has a value that is not finite.
    """
    stores = [read_arrays(path) for path in tables]
    for store in stores:
        if not np.isfinite(store[quantity.table]).all():
            raise ArtifactError(
                f"{store.path}: holds numbers of {quantity.table} that are not finite: the training"
                " of its models diverged; lower training.learning_rate"
            )
    means = [quantity.mean(store[quantity.table]) for store in stores]
    by_seed = [means[seed * n_blocks : (seed + 1) * n_blocks] for seed in range(n_seeds)]
    subsets = [number for store in stores[:n_blocks] for number in store.attribute("subsets")]
    return np.stack([np.concatenate(blocks) for blocks in by_seed]), subsets
