"""What is taken out of the training set for one query, and the group of models without it."""

import re
from dataclasses import dataclass
from typing import Literal

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
        return f"counterfactual/{self.method}/{self.side}-{self.fraction}"

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
