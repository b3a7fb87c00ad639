"""Differences between methods, with confidence.

The bootstrap draws the same subsets and queries for every method, so draw i of one method and draw
i of another belong together: what the two share (hard queries, odd subsets) cancels in their
difference, whose interval is narrower than the methods' own intervals suggest.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.special import ndtr

from diffattr.artifacts import Result
from diffattr.evaluation.bootstrap import Interval, interval
from diffattr.evaluation.result import LdsResult

Verdict = Literal["higher", "lower", "undecided"]


class Difference(Result, frozen=True):
    """The LDS of one method minus that of another, on one split.

    Attributes:
        method: the first.
        baseline: the second.
        difference: LDS of `method` minus LDS of `baseline`.
        interval: of the paired bootstrap: the same subsets and queries for both.
        verdict: whether the interval lies above zero (`higher`), below it, or contains it.
        confidence_higher: one-sided confidence that the difference is positive, 0 to 1:
            Phi(difference / standard deviation of the bootstrap).
    """

    method: str
    baseline: str
    difference: float
    interval: Interval
    verdict: Verdict
    confidence_higher: float


class Pairs(Result, frozen=True):
    """Every method against every other; entry [i][j] is about method i minus method j.

    Attributes:
        names: the methods, in the order of rows and columns.
        difference: of their LDS, (method, method).
        confidence_higher: that the difference is positive, 0 to 1, (method, method).
        verdict: of the paired bootstrap, (method, method).
    """

    names: tuple[str, ...]
    difference: tuple[tuple[float, ...], ...]
    confidence_higher: tuple[tuple[float, ...], ...]
    verdict: tuple[tuple[Verdict, ...], ...]


class VerdictCounts(Result, frozen=True):
    """The number of comparisons with each verdict.

    Attributes:
        higher: the first method has the higher LDS.
        lower: the first method has the lower LDS.
        undecided: the interval of the difference contains zero.
    """

    higher: int
    lower: int
    undecided: int

    @property
    def total(self) -> int:
        """The number of comparisons."""
        return self.higher + self.lower + self.undecided


def verdict(around: Sequence[float]) -> Verdict:
    """Return whether an interval lies above zero, below it, or contains it."""
    low, high = around
    return "higher" if low > 0 else "lower" if high < 0 else "undecided"


def difference(
    results: Mapping[str, LdsResult], method: str, baseline: str, confidence: float
) -> Difference:
    """Return by how much the LDS of two methods differs; `results` are those of one split."""
    ours, theirs = results[method], results[baseline]
    point = ours.lds - theirs.lds
    draws = np.array(ours.resamples.both) - np.array(theirs.resamples.both)
    around = interval(point, draws, confidence)
    # Two methods with equal scores have no spread at all: a tie.
    spread = float(draws.std(ddof=1))
    return Difference(
        method=method,
        baseline=baseline,
        difference=point,
        interval=around,
        verdict=verdict(around),
        confidence_higher=float(ndtr(point / spread)) if spread > 0 else 0.5,
    )


def pairs(results: Mapping[str, LdsResult], names: Sequence[str], confidence: float) -> Pairs:
    """Return the differences between any two of `names`."""
    square = [
        [difference(results, first, second, confidence) for second in names] for first in names
    ]
    return Pairs(
        names=tuple(names),
        difference=tuple(tuple(found.difference for found in row) for row in square),
        confidence_higher=tuple(tuple(found.confidence_higher for found in row) for row in square),
        verdict=tuple(tuple(found.verdict for found in row) for row in square),
    )


def sole_best(
    results: Mapping[str, LdsResult], names: Sequence[str], confidence: float
) -> str | None:
    """Return the method that is higher than every other of `names`, None where there is none."""
    ranked = sorted(names, key=lambda name: -results[name].lds)
    rest = (difference(results, ranked[0], other, confidence) for other in ranked[1:])
    return ranked[0] if all(found.verdict == "higher" for found in rest) else None


def verdict_counts(verdicts: Iterable[Verdict]) -> VerdictCounts:
    """Return how often each verdict was reached."""
    count = Counter(verdicts)
    return VerdictCounts(higher=count["higher"], lower=count["lower"], undecided=count["undecided"])
