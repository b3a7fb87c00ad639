"""Planted truth: queries whose copy is in the training set.

A method should rank the copy first among all training images.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64


@dataclass(frozen=True)
class PlantedTruth:
    """How well a method finds the copies."""

    recall_at_1: float
    mean_rank: float
    ranks: Int64[np.ndarray, " query"]
    """The copy's rank among the training images, 1 = first; ties count against the method."""


def planted_truth(
    scores: Float[np.ndarray, "query train"], copies: Int64[np.ndarray, " query"]
) -> PlantedTruth:
    """Return the ranks of the copies, given each copy's position in the training set."""
    own = scores[np.arange(len(copies)), copies][:, None]
    ranks = (scores >= own).sum(axis=1)
    return PlantedTruth(float((ranks == 1).mean()), float(ranks.mean()), ranks)
