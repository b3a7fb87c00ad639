"""Random samples of images, and random subsets of the training set.

They are stratified by class and keyed by the benchmark's seed, or are those of D-TRAK's published
code, whatever the seed.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from diffattr import rng
from diffattr.artifacts import as_list, read_array, readable
from diffattr.data.source import DataError

D_TRAK_SPLIT_STATE = 42
"""The random state of D-TRAK's training and validation images."""

D_TRAK_SUBSET_STATES = {"lds": 42, "retrain": 554}
"""The random state of each group's first subset in D-TRAK (`lds-val` and `retrain`)."""

D_TRAK_LDS_SUBSETS = (D_TRAK_SUBSET_STATES["retrain"] - D_TRAK_SUBSET_STATES["lds"]) // 2
"""The number of subsets of the group lds before its random states reach those of retrain."""


def sample(
    items: Int64[np.ndarray, " item"],
    labels: Int64[np.ndarray, " item"],
    n: int,
    random_state: int,
    key: str,
    like_d_trak: bool,
) -> Int64[np.ndarray, " chosen"]:
    """Return `n` of the items in ascending order, stratified by class.

    With `like_d_trak` they are in the order of D-TRAK's code, which stratifies by class, except for
    CelebA, its only data set without classes.

    Raises:
        DataError: a class is too small to be split.
    """
    from sklearn.model_selection import train_test_split

    by_class = not like_d_trak or len(np.unique(labels)) > 1
    try:
        chosen, _ = train_test_split(
            items, train_size=n, stratify=labels if by_class else None, random_state=random_state
        )
    except ValueError as error:
        raise DataError(f"{key}: cannot draw {n} of {len(items)} by class: {error}") from error
    return np.asarray(chosen) if like_d_trak else np.sort(chosen)


def d_trak_subset_state(group: str, index: int) -> int:
    """Return the random state of one of D-TRAK's subsets; its counter rises by two per subset."""
    return D_TRAK_SUBSET_STATES[group] + 2 * index


def subset(
    labels: Int64[np.ndarray, " train"],
    fraction: float,
    seed: int,
    group: str,
    index: int,
    like_d_trak: bool = False,
) -> Int64[np.ndarray, " member"]:
    """Return sorted positions of a share of the training set, keyed by group and index.

    Raises:
        DataError: the share is empty or the whole training set, or a class is too small.
    """
    if like_d_trak:
        random_state = d_trak_subset_state(group, index)
    else:
        random_state = rng.integer_seed(seed, "subset", group, index)
    everything, n = np.arange(len(labels)), round(fraction * len(labels))
    key = f"measurement.subsets.{group}.fraction"
    if not 0 < n < len(labels):
        raise DataError(
            f"{key}: {fraction} of {len(labels)} training images is a subset of {n}, expected 1 to"
            f" {len(labels) - 1}"
        )
    return np.sort(sample(everything, labels, n, random_state, key, like_d_trak))


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
