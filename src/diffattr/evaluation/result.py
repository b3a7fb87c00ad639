"""The LDS result of one method on one split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import Result
from diffattr.config import PRIMARY, Lds
from diffattr.evaluation.bootstrap import Draws, Interval, interval, resampled
from diffattr.evaluation.ceiling import Ceiling, noise_ceiling
from diffattr.evaluation.lds import Measurements, lds
from diffattr.evaluation.selection import cross_fitted

ALL = slice(None)


class Selected(Result, frozen=True, rename={"lam": "lambda"}):
    """A lambda that was chosen.

    Attributes:
        lambda: the median over queries of the cross-fitted lambda; null for methods without one.
    """

    lam: float | None


class Oracle(Result, frozen=True, rename={"lam": "lambda"}):
    """The best lambda in hindsight.

    Attributes:
        lambda: that lambda; null for methods without one.
        lds: LDS there, mean over queries.
    """

    lam: float | None
    lds: float


class Intervals(Result, frozen=True):
    """Confidence intervals of the LDS, by what the bootstrap draws again.

    Attributes:
        both: subsets and queries.
        subsets: subsets alone.
        queries: queries alone.
    """

    both: Interval
    subsets: Interval
    queries: Interval


class LambdaCurve(Result, frozen=True):
    """LDS along the path of lambda.

    Attributes:
        lambdas: in units of the mean squared length of a training image's feature; a single null
            for methods without one.
        lds: mean over queries, at each of them.
    """

    lambdas: tuple[float | None, ...]
    lds: tuple[float, ...]


class Resamples(Result, frozen=True):
    """The mean LDS of each resample.

    Attributes:
        both: of subsets and queries.
        subsets: of subsets alone.
    """

    both: tuple[float, ...]
    subsets: tuple[float, ...]


class MeasuredLds(Result, frozen=True):
    """LDS against another measured quantity than the loss.

    Attributes:
        lds: at the lambda that suits this quantity, chosen on other queries.
        interval: bootstrap over subsets and queries.
        selected: that lambda.
        oracle: the best lambda in hindsight.
        bound: the noise ceiling of this quantity; null with one training seed.
    """

    lds: float
    interval: Interval
    selected: Selected
    oracle: Oracle
    bound: float | None


class QueryListLds(Result, frozen=True):
    """LDS over some queries of the split, each at the lambda chosen among all.

    Attributes:
        n_queries: how many.
        lds: mean over them.
        interval: bootstrap over subsets and these queries.
    """

    n_queries: int
    lds: float
    interval: Interval


class LdsResult(Result, frozen=True):
    """LDS of one method on one split.

    Attributes:
        lds: mean over queries, each at its cross-fitted lambda.
        interval: bootstrap of it.
        selected: the lambda that a user of the method would choose.
        oracle: the best lambda in hindsight.
        curve: LDS at every lambda.
        ceiling: what noise allows; null with one training seed per subset.
        of_bound: `lds` as a share of the ceiling's bound; null without one, or where it is 0.
        per_query: LDS of each query of the split.
        resamples: the bootstrap, for paired comparisons with other methods.
        n_subsets: retrained subsets.
        n_queries: queries.
        measured: LDS against further measured quantities, by quantity.
        query_lists: LDS over the lists of queries that the config names, by list.
    """

    lds: float
    interval: Intervals
    selected: Selected
    oracle: Oracle
    curve: LambdaCurve
    ceiling: Ceiling | None
    of_bound: float | None
    per_query: tuple[float, ...]
    resamples: Resamples
    n_subsets: int
    n_queries: int
    measured: Mapping[str, MeasuredLds]
    query_lists: Mapping[str, QueryListLds]


def evaluate(
    predictions: Float[np.ndarray, "lambda subset query"],
    lambdas: Sequence[float | None],
    measurements: Mapping[str, Measurements],
    options: Lds,
    seed: int,
    split: str,
) -> LdsResult:
    """Return LDS at the cross-fitted and the oracle lambda, intervals, curve and ceiling.

    `measurements` maps each measured quantity to its values; `loss` is the one that everything
    but `measured`, where the others stand, is about. The measurement is the mean over training
    seeds.
    """
    by_quantity = {
        name: _Judged(predictions, lambdas, values, options, seed, split)
        for name, values in measurements.items()
    }
    judged = by_quantity.pop(PRIMARY)
    point, ceiling, draws = float(judged.per_query.mean()), judged.ceiling, judged.draws()
    return LdsResult(
        lds=point,
        interval=Intervals(
            both=interval(point, draws.both, options.confidence),
            subsets=interval(point, draws.subsets, options.confidence),
            queries=interval(point, draws.queries, options.confidence),
        ),
        selected=judged.selected,
        oracle=judged.oracle,
        curve=LambdaCurve(lambdas=tuple(lambdas), lds=tuple(judged.path.mean(axis=1).tolist())),
        ceiling=ceiling,
        of_bound=point / ceiling.bound if ceiling and ceiling.bound > 0 else None,
        per_query=tuple(judged.per_query.tolist()),
        resamples=Resamples(both=tuple(draws.both.tolist()), subsets=tuple(draws.subsets.tolist())),
        n_subsets=predictions.shape[1],
        n_queries=predictions.shape[2],
        measured={
            name: MeasuredLds(
                **other.mean(),
                selected=other.selected,
                oracle=other.oracle,
                bound=other.ceiling and other.ceiling.bound,
            )
            for name, other in by_quantity.items()
        },
        query_lists={
            name: QueryListLds(n_queries=len(listed.queries), **judged.mean(list(listed.queries)))
            for name, listed in options.query_lists.items()
            if listed.split == split
        },
    )


class _Judged:
    """Predictions held against one measured quantity, each query at the lambda chosen for it.

    `path` is the LDS of (lambda, query); `predictions` and `measurement` are (subset, query).
    """

    def __init__(
        self,
        predictions: Float[np.ndarray, "lambda subset query"],
        lambdas: Sequence[float | None],
        measurements: Measurements,
        options: Lds,
        seed: int,
        split: str,
    ):
        self.measurement, self.ceiling = measurements.mean(axis=0), noise_ceiling(measurements)
        self.path = lds(predictions, self.measurement)
        found = cross_fitted(self.path, options.folds, seed, split)
        columns = np.arange(self.path.shape[1])
        self.selected = Selected(lam=lambdas[found.selected])
        self.oracle = Oracle(lam=lambdas[found.oracle], lds=float(self.path[found.oracle].mean()))
        self.per_query = self.path[found.per_query, columns]
        self.predictions = predictions[found.per_query, :, columns].T
        self.options, self.seed, self.split = options, seed, split

    def draws(self, queries: list[int] | slice = ALL) -> Draws:
        """Return the mean LDS of some queries in each resample."""
        predictions, measurement = self.predictions[:, queries], self.measurement[:, queries]
        return resampled(predictions, measurement, self.options.resamples, self.seed, self.split)

    def mean(self, queries: list[int] | slice = ALL) -> dict[str, Any]:
        """Return the fields `lds` and `interval` of a result over some queries."""
        point = float(self.per_query[queries].mean())
        draws = self.draws(queries).both
        return {"lds": point, "interval": interval(point, draws, self.options.confidence)}
