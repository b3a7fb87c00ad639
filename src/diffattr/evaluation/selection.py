"""Choosing lambda without looking at the numbers that are then printed.

The queries are dealt into folds. The queries of a fold are judged at the lambda that is best on
average over the queries of all other folds (cross-fitting), so no query has a say in its own
lambda. The oracle lambda, the best on the very queries that are reported, is the reference's way
and stands beside it. Subsets are not held out: the models' training noise is shared by all queries,
so a small optimism common to every method with a lambda remains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64

from diffattr import rng
from diffattr.artifacts import read_json, readable
from diffattr.evaluation.lds import Measurements, lds


@dataclass(frozen=True)
class Selection:
    """Which lambda judges which query.

    `per_query` is the index of the lambda at which each query is judged; `selected` the index that
    a user of the method would take: the median of the folds' choices; `oracle` the best in
    hindsight.
    """

    per_query: Int64[np.ndarray, " query"]
    selected: int
    oracle: int


def cross_fitted(
    path: Float64[np.ndarray, "lambda query"], n_folds: int, seed: int, split: str
) -> Selection:
    """Return the cross-fitted and the oracle choice on an LDS path.

    Raises:
        ValueError: fewer queries than folds.
    """
    n_queries = path.shape[1]
    if n_queries < n_folds:
        raise ValueError(
            f"measurement.lds.folds: {n_folds} folds asked for,"
            f" split {split} has {n_queries} queries"
        )
    fold = rng.generator(seed, "folds", split).permutation(n_queries) % n_folds
    per_query = np.zeros(n_queries, dtype=np.int64)
    choices = []
    for number in range(n_folds):
        own = fold == number
        choices.append(int(path[:, ~own].mean(axis=1).argmax()))
        per_query[own] = choices[-1]
    selected = sorted(choices)[(n_folds - 1) // 2]
    return Selection(per_query, selected, int(path.mean(axis=1).argmax()))


def read_selected(path: str | Path) -> float:
    """Return the lambda that was selected.

    Raises:
        ArtifactError: the file holds no positive finite number by that name.
    """
    found = read_json(path)
    with readable(path, "selected lambda"):
        lam = found["lambda"]
        if type(lam) is not float or not 0 < lam < np.inf:
            raise ValueError(f"lambda is {lam!r}, a number above 0 is expected")
    return lam


def selected_lambda(
    predictions: Float[np.ndarray, "lambda subset query"],
    lambdas: Sequence[float],
    measurements: Measurements,
    n_folds: int,
    seed: int,
    split: str,
) -> float:
    """Return the lambda that scores are written at: that of the middle choice of the folds."""
    path = lds(predictions, measurements.mean(axis=0))
    return lambdas[cross_fitted(path, n_folds, seed, split).selected]
