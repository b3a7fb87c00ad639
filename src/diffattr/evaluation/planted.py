"""Planted truth: queries whose copy is in the training set.

A method should rank the copy first among all training images.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from diffattr.artifacts import ArtifactError
from diffattr.config import Section


@dataclass(frozen=True)
class PlantedTruth:
    """How well a method finds the copies."""

    recall_at_1: float
    mean_rank: float
    ranks: Int64[np.ndarray, " query"]
    """The copy's rank among the training images, 1 = first; ties count against the method."""


class Chance(Section, frozen=True):
    """What scores at random are expected to reach."""

    recall_at_1: float
    mean_rank: float


class PlantedRow(Section, frozen=True, rename={"lam": "lambda"}):
    """How well one method, at this lambda if it has one, finds the copies."""

    name: str
    lam: float | None
    recall_at_1: float
    mean_rank: float
    ranks: tuple[int, ...]


class Planted(Section, frozen=True):
    """Planted truth of a benchmark, best method first; `copies` are positions into train."""

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
    return PlantedTruth(float((ranks == 1).mean()), float(ranks.mean()), ranks)


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
        row = PlantedRow(
            name=name,
            lam=lam,
            recall_at_1=truth.recall_at_1,
            mean_rank=truth.mean_rank,
            ranks=tuple(truth.ranks.tolist()),
        )
        rows.append(row)
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
