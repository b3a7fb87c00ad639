"""Planted truth: queries whose copy is in the training set.

A method should rank the copy first among all training images.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
from jaxtyping import Float, Int64

from diffattr.artifacts import ArtifactError, Result


class PlantedTruth(Result, frozen=True):
    """How well scores find the copies of planted queries.

    Attributes:
        recall_at_1: share of queries whose copy ranks first.
        mean_rank: of the copy among all training images, 1 = first.
        ranks: of each query's copy; ties count against the method.
    """

    recall_at_1: float
    mean_rank: float
    ranks: tuple[int, ...]


class PlantedRow(PlantedTruth, frozen=True, rename={"lam": "lambda"}):
    """How well one method finds the copies of planted queries.

    Attributes:
        name: the method.
        lambda: the lambda of its scores: the one that the config sets, or the median cross-fitted
            lambda of `val`; null for methods without one.
    """

    name: str
    lam: float | None


class Chance(Result, frozen=True):
    """What guessing would achieve.

    Attributes:
        recall_at_1: expected share of copies that rank first.
        mean_rank: expected rank of the copy.
    """

    recall_at_1: float
    mean_rank: float


class Planted(Result, frozen=True):
    """Queries that are themselves training images: a method should rank the copy first.

    Attributes:
        n_queries: planted queries.
        copies: the position in the training set of each query's copy.
        chance: what guessing would achieve.
        methods: best mean rank first.
    """

    n_queries: int
    copies: tuple[int, ...]
    chance: Chance
    methods: tuple[PlantedRow, ...]


def planted_truth(
    scores: Float[np.ndarray, "query train"], copies: Int64[np.ndarray, " query"]
) -> PlantedTruth:
    """Return the ranks of the copies, given each copy's position in the training set."""
    own = scores[np.arange(len(copies)), copies][:, None]
    ranks = (scores >= own).sum(axis=1)
    return PlantedTruth(
        recall_at_1=float((ranks == 1).mean()),
        mean_rank=float(ranks.mean()),
        ranks=tuple(ranks.tolist()),
    )


def planted_ranks(
    methods: Iterable[tuple[str, float | None, Float[np.ndarray, "query train"]]],
    train: Int64[np.ndarray, " train"],
    queries: Int64[np.ndarray, " query"],
) -> Planted:
    """Return how well each method (name, lambda, scores) finds the copies, best method first.

    `train` and `queries` are the positions of images in the data set.

    Raises:
        ArtifactError: a query is not in the training set.
    """
    copies, rows = copy_positions(train, queries), []
    for name, lam, scores in methods:
        truth = planted_truth(scores, copies)
        rows.append(PlantedRow(name=name, lam=lam, **msgspec.structs.asdict(truth)))
    return Planted(
        n_queries=len(queries),
        copies=tuple(copies.tolist()),
        chance=Chance(recall_at_1=1 / len(train), mean_rank=(len(train) + 1) / 2),
        methods=tuple(sorted(rows, key=lambda row: (row.mean_rank, row.name))),
    )


def copy_positions(
    train: Int64[np.ndarray, " train"], queries: Int64[np.ndarray, " query"]
) -> Int64[np.ndarray, " query"]:
    """Return where in the training set each planted query's copy stands.

    Raises:
        ArtifactError: a query is not in the training set.
    """
    order = np.argsort(train)
    found = order[np.searchsorted(train, queries, sorter=order).clip(max=len(train) - 1)]
    if (missing := queries[train[found] != queries]).size:
        raise ArtifactError(
            f"indices/planted.npy: image {missing[0]} of the data set is not in indices/train.npy,"
            " though every planted image is part of the training set; rebuild both:"
            " snakemake --forcerun data"
        )
    return found
