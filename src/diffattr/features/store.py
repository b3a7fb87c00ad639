"""Shards of features on disk, and the refusal of shards that do not belong together.

A shard is a store with an array (image, k) per output function and the losses (image, timestep);
what defines the map is its attribute `identity`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from diffattr.artifacts import ArtifactError, read_arrays

TIMESTEP_LOSSES = "timestep-losses"
"""Name of the losses of a pass, (image, timestep), in a shard of its features."""


@dataclass(frozen=True)
class Features:
    """The features of one split and what defines their map (projector, model, timesteps)."""

    path: Path
    values: Float32[np.ndarray, "image k"]
    identity: Mapping[str, Any]


def read_shards(paths: Sequence[str | Path], output_function: str) -> Features:
    """Return the features of all images of a split, in the order of its shards.

    Raises:
        ArtifactError: a shard is damaged or lacks the output function, or shards come from
            different projectors, models or timesteps.
    """
    shards = [read_arrays(path) for path in paths]
    parts = [Features(s.path, s[output_function], s.attribute("identity")) for s in shards]
    for part in parts[1:]:
        require_same_identity(parts[0], part)
    return Features(parts[0].path, np.concatenate([p.values for p in parts]), parts[0].identity)


def require_same_identity(first: Features, second: Features) -> None:
    """Raise an `ArtifactError` that names the difference if two sides are not of the same map."""
    for key in sorted({*first.identity, *second.identity}):
        expected, found = first.identity.get(key), second.identity.get(key)
        if found != expected:
            raise ArtifactError(
                f"{second.path}: {key} is {found}, but {first.path} has {expected}; one score needs"
                " one projector, model and timestep set. Rebuild it: snakemake --force"
                f" {second.path}"
            )
