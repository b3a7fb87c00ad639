"""Random samples of images, stratified by class, or as in D-TRAK's published code."""

import numpy as np
from jaxtyping import Int64

from diffattr.data.source import DataError

D_TRAK_SPLIT_STATE = 42
"""The random state of D-TRAK's training and validation images."""

D_TRAK_SUBSET_STATES = {"lds": 42, "retrain": 554}
"""The random state of each group's first subset in D-TRAK (`lds-val` and `retrain`)."""

D_TRAK_LDS_SUBSETS = (D_TRAK_SUBSET_STATES["retrain"] - D_TRAK_SUBSET_STATES["lds"]) // 2
"""The number of subsets of the group lds before its random states reach those of retrain."""


def d_trak_subset_state(group: str, index: int) -> int:
    """Return the random state of one of D-TRAK's subsets; its counter rises by two per subset."""
    return D_TRAK_SUBSET_STATES[group] + 2 * index


def stratified_sample(
    items: Int64[np.ndarray, " item"],
    labels: Int64[np.ndarray, " item"],
    n: int,
    random_state: int,
    key: str,
) -> Int64[np.ndarray, " chosen"]:
    """Return `n` of the items in ascending order, stratified by class.

    Raises:
        DataError: a class is too small to be split.
    """
    return np.sort(_drawn(items, labels, n, random_state, key))


def d_trak_sample(
    items: Int64[np.ndarray, " item"],
    labels: Int64[np.ndarray, " item"],
    n: int,
    random_state: int,
    key: str,
) -> Int64[np.ndarray, " chosen"]:
    """Return `n` of the items in the order of D-TRAK's code.

    That code stratifies by class, except for CelebA, its only data set without classes.

    Raises:
        DataError: a class is too small to be split.
    """
    has_classes = len(np.unique(labels)) > 1
    return _drawn(items, labels if has_classes else None, n, random_state, key)


def _drawn(
    items: Int64[np.ndarray, " item"],
    labels: Int64[np.ndarray, " item"] | None,
    n: int,
    random_state: int,
    key: str,
) -> Int64[np.ndarray, " chosen"]:
    from sklearn.model_selection import train_test_split

    try:
        chosen, _ = train_test_split(
            items, train_size=n, stratify=labels, random_state=random_state
        )
    except ValueError as error:
        raise DataError(f"{key}: cannot draw {n} of {len(items)} by class: {error}") from error
    return np.asarray(chosen)
