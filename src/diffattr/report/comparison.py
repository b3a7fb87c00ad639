"""Differences between methods, with confidence.

The bootstrap draws the same subsets and queries for every method, so draw i of one method and draw
i of another belong together: what the two share (hard queries, odd subsets) cancels in their
difference, whose interval is narrower than the methods' own intervals suggest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr

from diffattr.evaluation.bootstrap import interval

Verdict = Literal["higher", "lower", "undecided"]


@dataclass(frozen=True)
class Difference:
    """LDS of `method` minus LDS of `baseline` on one split."""

    method: str
    baseline: str
    difference: float
    interval: tuple[float, float]
    verdict: Verdict
    """Whether the interval lies above zero, below it, or around it."""
    confidence_higher: float
    """One-sided confidence that the difference is above zero, Phi(difference / sd of the draws)."""


def pairs(
    results: Mapping[str, Mapping[str, Any]], names: Sequence[str], confidence: float
) -> dict[str, Any]:
    """Return every method against every other, as a square of verdicts and confidences.

    Entry [i][j] is about the LDS of method i minus that of method j.
    """
    square = [
        [difference(results, first, second, confidence) for second in names] for first in names
    ]
    return {
        "names": list(names),
        **{
            key: [[cell[key] for cell in row] for row in square]
            for key in ("difference", "confidence_higher", "verdict")
        },
    }


def sole_best(
    results: Mapping[str, Mapping[str, Any]], names: Sequence[str], confidence: float
) -> str | None:
    """Return the method that is above every other of `names`, None where none is told apart."""
    ranked = sorted(names, key=lambda name: -results[name]["lds"])
    rest = (difference(results, ranked[0], other, confidence) for other in ranked[1:])
    return ranked[0] if all(found["verdict"] == "higher" for found in rest) else None


def difference(
    results: Mapping[str, Mapping[str, Any]], method: str, baseline: str, confidence: float
) -> dict[str, Any]:
    """Return how the LDS of two methods differs, as a JSON value (see `Difference`).

    `results` maps a method's name to its LDS artifact on the split.
    """
    ours, theirs = results[method], results[baseline]
    point = ours["lds"] - theirs["lds"]
    draws = np.array(ours["resamples"]["both"]) - np.array(theirs["resamples"]["both"])
    low, high = interval(point, draws, confidence)
    verdict = "higher" if low > 0 else "lower" if high < 0 else "undecided"
    # Two methods with equal scores have no spread at all: a tie.
    spread = float(draws.std(ddof=1))
    higher = float(ndtr(point / spread)) if spread > 0 else 0.5
    found = Difference(method, baseline, point, (low, high), verdict, higher)
    return {**asdict(found), "interval": [low, high]}
