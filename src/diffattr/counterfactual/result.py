"""The result of the counterfactual evaluation."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import binomtest, hypergeom

from diffattr import rng
from diffattr.artifacts import Result
from diffattr.config import Lds
from diffattr.counterfactual.removals import Removal, Side
from diffattr.evaluation.bootstrap import Interval, interval


class VersusRandom(Result, frozen=True):
    """A measure after a removal minus that after removing as many images at random, per query.

    Attributes:
        difference: mean over queries.
        median_difference: median over queries.
        interval: of the mean, bootstrap over queries.
        n_higher: queries on which the measure is above that of the random removal.
        n_lower: queries on which it is below.
        sign_test_p: two-sided p-value of a sign test on these two counts.
    """

    difference: float
    median_difference: float
    interval: Interval
    n_higher: int
    n_lower: int
    sign_test_p: float


class Measure(Result, frozen=True):
    """One measure of how far queries moved, mean over training seeds.

    Attributes:
        per_query: the value of each query, in the order of `queries`.
        mean: over queries.
        median: over queries.
        interval: of the mean, bootstrap over queries.
        versus_random: the paired comparison with the random method; null for that method.
    """

    per_query: tuple[float, ...]
    mean: float
    median: float
    interval: Interval
    versus_random: VersusRandom | None


class RemovalEffect(Result, frozen=True):
    """What retraining without some training images did.

    Attributes:
        method: the method that named the images.
        side: whether they have its highest scores (`proponents`) or its lowest.
        fraction: the removed share of the training set.
        measures: by name: `pixel-l2`, `loss-change`, `<embedding>-cosine`.
    """

    method: str
    side: Side
    fraction: float
    measures: Mapping[str, Measure]


class Overlap(Result, frozen=True):
    """How many images two methods' lists of proponents share.

    Attributes:
        fraction: length of the lists as a share of the training set.
        first: one method.
        second: the other.
        jaccard: |A and B| / |A or B|, mean over queries.
        chance: what two random lists of this length share on average.
    """

    fraction: float
    first: str
    second: str
    jaccard: float
    chance: float


class CounterfactualResult(Result, frozen=True):
    """Generated queries, drawn again by models trained without the images that methods name.

    Attributes:
        queries: positions of the chosen queries in split `gen`.
        n_train: training images.
        seeds: training seeds of the retrained models.
        removals: one row per method, side and retrained fraction.
        overlaps: one row per pair of methods and fraction.
    """

    queries: tuple[int, ...]
    n_train: int
    seeds: tuple[int, ...]
    removals: tuple[RemovalEffect, ...]
    overlaps: tuple[Overlap, ...]


def overlap(
    first: Int64[np.ndarray, "query n"], second: Int64[np.ndarray, "query n"]
) -> Float64[np.ndarray, " query"]:
    """Return the Jaccard overlap |A and B| / |A or B| of two removal lists, per query."""
    shared = np.array(
        [len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)], dtype=np.float64
    )
    return shared / (2 * first.shape[1] - shared)


def chance_overlap(n: int, n_train: int) -> float:
    """Return the expected Jaccard overlap of two random lists of n out of n_train images.

    The number of shared images is hypergeometric.
    """
    shared = np.arange(max(0, 2 * n - n_train), n + 1)
    probability = hypergeom.pmf(shared, n_train, n, n)
    return float((probability * shared / (2 * n - shared)).sum())


def overlaps(
    removed: Mapping[str, Int64[np.ndarray, "query train"]],
    sizes: Mapping[float, int],
    n_train: int,
) -> tuple[Overlap, ...]:
    """Return the mean overlap of every pair of methods' proponents, for every size of removal."""
    return tuple(
        Overlap(
            fraction=fraction,
            first=first,
            second=second,
            jaccard=float(overlap(removed[first][:, :n], removed[second][:, :n]).mean()),
            chance=chance_overlap(n, n_train),
        )
        for fraction, n in sizes.items()
        for first, second in itertools.combinations(removed, 2)
    )


def summary(
    values: Float64[np.ndarray, " query"],
    control: Float64[np.ndarray, " query"] | None,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> Measure:
    """Return mean and median over queries with an interval, and how they compare with a control.

    Intervals are by bootstrap over queries, the same draws for every method. The sign test asks
    whether more queries are above the control than below it; equal ones are left out.
    """
    generator = rng.generator(seed, "bootstrap", "counterfactual")
    rows = generator.integers(len(values), size=(n_resamples, len(values)))

    def around(values: Float64[np.ndarray, " query"]) -> Interval:
        return interval(float(values.mean()), values[rows].mean(axis=1), confidence)

    versus = None
    if control is not None:
        difference = values - control
        n_higher, n_lower = int((difference > 0).sum()), int((difference < 0).sum())
        n_decided = n_higher + n_lower
        versus = VersusRandom(
            difference=float(difference.mean()),
            median_difference=float(np.median(difference)),
            interval=around(difference),
            n_higher=n_higher,
            n_lower=n_lower,
            sign_test_p=float(binomtest(n_higher, n_decided).pvalue) if n_decided else 1.0,
        )
    return Measure(
        per_query=tuple(values.tolist()),
        mean=float(values.mean()),
        median=float(np.median(values)),
        interval=around(values),
        versus_random=versus,
    )


def compared(
    removals: Sequence[Removal],
    measures: Sequence[Mapping[str, Float64[np.ndarray, " query"]]],
    control: str,
    options: Lds,
    seed: int,
) -> tuple[RemovalEffect, ...]:
    """Return what each removal did, compared with removing as many images at random.

    `measures` are those of `outcomes.moves`, one per removal; `control` is the random method.
    """
    random = {
        removal.fraction: found
        for removal, found in zip(removals, measures, strict=True)
        if removal.method == control and removal.side == "proponents"
    }

    def moved(removal: Removal, name: str, values: Float64[np.ndarray, " query"]) -> Measure:
        others = None if removal.method == control else random[removal.fraction][name]
        return summary(values, others, options.resamples, options.confidence, seed)

    return tuple(
        RemovalEffect(
            method=removal.method,
            side=removal.side,
            fraction=removal.fraction,
            measures={name: moved(removal, name, values) for name, values in found.items()},
        )
        for removal, found in zip(removals, measures, strict=True)
    )
