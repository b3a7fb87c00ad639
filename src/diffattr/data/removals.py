"""What is taken out of the training set for one query, and the group of models without it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from diffattr.artifacts import read_arrays, readable

Side = Literal["proponents", "opponents"]
SIDES: tuple[Side, ...] = ("proponents", "opponents")
PATTERN = r"counterfactual/[a-z0-9-]+/(?:proponents|opponents)-[0-9.]+"
"""Matches the name of every group of removals."""


@dataclass(frozen=True)
class Removal:
    """The share of training images that one method's highest or lowest scores name."""

    method: str
    side: Side
    fraction: float

    @property
    def group(self) -> str:
        """The name of the group of models that are trained without them."""
        # Digits alone: a small fraction would be written with an exponent.
        share = np.format_float_positional(self.fraction, trim="-")
        return f"counterfactual/{self.method}/{self.side}-{share}"

    @classmethod
    def of(cls, group: str) -> "Removal":
        """Return the removal of a group, from its name."""
        _, method, last = group.split("/")
        side, _, fraction = last.partition("-")
        return cls(method, SIDES[SIDES.index(side)], float(fraction))  # pyright: ignore[reportArgumentType]


def is_removal(group: str) -> bool:
    """Return whether a group is one of removals."""
    return re.fullmatch(PATTERN, group) is not None


def read_orders(
    path: str | Path, queries: Sequence[int], n_train: int
) -> dict[Side, Int64[np.ndarray, "query train"]]:
    """Return, by side, the order in which one method removes all training images, per query.

    Raises:
        ArtifactError: it is of other queries, or not an order of all training images.
    """
    stored = read_arrays(path)
    orders: dict[Side, np.ndarray] = {side: stored[side] for side in SIDES}
    with readable(path, "order of removal"):
        if stored.attribute("queries") != list(queries):
            raise ValueError(f"of queries {stored.attribute('queries')}, expected {list(queries)}")
        every = np.broadcast_to(np.arange(n_train), (len(queries), n_train))
        for side, order in orders.items():
            if order.dtype != np.int64 or not np.array_equal(np.sort(order, axis=-1), every):
                raise ValueError(
                    f"{side} are not all {n_train} training images, each once, for each of"
                    f" {len(queries)} queries"
                )
    return orders
