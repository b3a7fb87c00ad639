"""Random subsets of the training set."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from diffattr import rng
from diffattr.artifacts import as_list, read_array, readable
from diffattr.data.sampling import d_trak_sample, d_trak_subset_state, stratified_sample
from diffattr.data.source import DataError


def subset(
    labels: Int64[np.ndarray, " train"],
    fraction: float,
    seed: int,
    group: str,
    index: int,
    like_d_trak: bool = False,
) -> Int64[np.ndarray, " member"]:
    """Return sorted positions of a stratified share of the training set, keyed by group and index.

    With `like_d_trak`, those of D-TRAK's published code, whatever the seed.

    Raises:
        DataError: the share is empty or the whole training set.
    """
    n = round(fraction * len(labels))
    if not 0 < n < len(labels):
        raise DataError(
            f"measurement.subsets.{group}.fraction: {fraction} of {len(labels)} training images is"
            f" a subset of {n}, expected 1 to {len(labels) - 1}"
        )
    everything, key = np.arange(len(labels)), f"measurement.subsets.{group}.fraction"
    if like_d_trak:
        random_state = d_trak_subset_state(group, index)
        return np.sort(d_trak_sample(everything, labels, n, random_state, key))
    random_state = rng.integer_seed(seed, "subset", group, index)
    return stratified_sample(everything, labels, n, random_state, key)


def read_subsets(paths: Any) -> list[Int64[np.ndarray, " member"]]:
    """Return the subsets of one or several blocks, from their files in order.

    Raises:
        ArtifactError: a file is missing, damaged or not a block of subsets.
    """
    subsets = []
    for path in as_list(paths):
        block = read_array(path)
        with readable(path, "block of subsets"):
            if block.dtype != np.int64 or block.ndim != 2:
                raise ValueError(f"{block.dtype} {block.shape}, expected int64 (member, image)")
        subsets += list(block)
    return subsets


def membership(
    subsets: list[Int64[np.ndarray, " _"]], n_train: int
) -> Bool[np.ndarray, "subset train"]:
    """Return whether each subset contains each training image."""
    masks = np.zeros((len(subsets), n_train), dtype=bool)
    for mask, members in zip(masks, subsets, strict=True):
        mask[members] = True
    return masks
