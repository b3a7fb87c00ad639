"""Shards of features on disk, and the refusal of shards that do not belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from diffattr.artifacts import ArtifactError, read_arrays, write_arrays

TIMESTEP_LOSSES = "timestep-losses"
"""Name of the losses of a pass, (image, timestep), in a shard of its features."""


@dataclass(frozen=True)
class Features:
    """The features of one split and what defines their map (projector, model, timesteps)."""

    path: Path
    values: Float32[np.ndarray, "image k"]
    identity: Mapping[str, Any]


def write_shard(
    path: str | Path,
    features: Mapping[str, Float32[np.ndarray, "image _"]],
    identity: Mapping[str, Any],
) -> None:
    """Write one shard: an array (image, k) per output function, and the losses (image, timestep).

    The identity is in the attributes.
    """
    write_arrays(path, features, {"identity": dict(identity)})


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
    """Refuse two sides that were not computed by the same map.

    Raises:
        ArtifactError: they differ; the message names the difference and how to rebuild it.
    """
    keys = sorted({*first.identity, *second.identity})
    differing = [key for key in keys if first.identity.get(key) != second.identity.get(key)]
    if differing:
        key = differing[0]
        raise ArtifactError(
            f"{second.path}: {key} is {second.identity.get(key)}, but {first.path} has"
            f" {first.identity.get(key)}; one score needs one projector, model and timestep set."
            f" Rebuild it: snakemake --force {second.path}"
        )
