"""Ranks of the copies of planted queries as the report has them."""

from collections.abc import Sequence

import msgspec

from diffattr.report.files import Inputs
from diffattr.report.part import Part


class PlantedRow(Part, frozen=True, rename={"lam": "lambda"}):
    """How well one method finds the copies of planted queries.

    Attributes:
        name: the method.
        lambda: the lambda of its scores: the one that the config sets, or the median cross-fitted
            lambda of `val`; null for methods without one.
        recall_at_1: share of queries whose copy ranks first.
        mean_rank: of the copy among all training images, 1 = first.
        ranks: of each query's copy; ties count against the method.
    """

    name: str
    lam: float | None
    recall_at_1: float
    mean_rank: float
    ranks: Sequence[int]


class Chance(Part, frozen=True):
    """What guessing would achieve.

    Attributes:
        recall_at_1: expected share of copies that rank first.
        mean_rank: expected rank of the copy.
    """

    recall_at_1: float
    mean_rank: float


class Planted(Part, frozen=True):
    """Queries that are themselves training images: a method should rank the copy first.

    Attributes:
        n_queries: planted queries.
        copies: the position in the training set of each query's copy.
        chance: what guessing would achieve.
        methods: best mean rank first.
    """

    n_queries: int
    copies: Sequence[int]
    chance: Chance
    methods: Sequence[PlantedRow]


def planted_of(inputs: Inputs) -> Planted | None:
    """Return how well methods find the copies, None where no queries are planted."""
    if not inputs.files["planted"]:
        return None
    return msgspec.convert(inputs.json("planted"), Planted)
