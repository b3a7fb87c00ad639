"""What is taken out of the training set for one query, and the group of models without it."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

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

    @property
    def word(self) -> str:
        """The group's name as one word, for the names of rules."""
        return self.group.replace("/", "_")

    @classmethod
    def of(cls, group: str) -> "Removal":
        """Return the removal of a group, from its name."""
        _, method, last = group.split("/")
        side, _, fraction = last.partition("-")
        return cls(method, SIDES[SIDES.index(side)], float(fraction))  # pyright: ignore[reportArgumentType]


def is_removal(group: str) -> bool:
    """Return whether a group is one of removals."""
    return re.fullmatch(PATTERN, group) is not None


def remaining(
    order: Int64[np.ndarray, " n"], n_removed: int, n_train: int
) -> Int64[np.ndarray, " left"]:
    """Return the sorted positions that are left when the first of an order are removed.

    Raises:
        ValueError: the order has too few images, one twice, or one that is not there.
    """
    removed = np.unique(order[:n_removed])
    if len(removed) != n_removed or removed[0] < 0 or removed[-1] >= n_train:
        raise ValueError(
            f"its first {n_removed} images are not {n_removed} different ones of {n_train}"
        )
    return np.setdiff1d(np.arange(n_train), removed)
