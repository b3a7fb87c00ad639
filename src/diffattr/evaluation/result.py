"""The LDS result of one method on one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from diffattr.artifacts import Result
from diffattr.config import PRIMARY, Lds
from diffattr.evaluation.bootstrap import Draws, Interval, interval, resampled
from diffattr.evaluation.ceiling import Ceiling, noise_ceiling
from diffattr.evaluation.lds import lds
from diffattr.evaluation.selection import Selection, cross_fitted


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
    measurements: Mapping[str, Float[np.ndarray, "seed subset query"]],
    options: Lds,
    seed: int,
    split: str,
) -> LdsResult:
    """Return LDS at the cross-fitted and the oracle lambda, intervals, curve and ceiling.

    `measurements` maps each measured quantity to its values; `loss` is the one that everything
    but `measured`, where the others stand, is about. The measurement is the mean over training
    seeds.
    """
    judged = _judge(predictions, measurements[PRIMARY], options, seed, split)
    point = float(judged.per_query.mean())
    draws = judged.draws(options, seed, split)
    ceiling = noise_ceiling(measurements[PRIMARY])
    return LdsResult(
        lds=point,
        interval=Intervals(
            both=interval(point, draws.both, options.confidence),
            subsets=interval(point, draws.subsets, options.confidence),
            queries=interval(point, draws.queries, options.confidence),
        ),
        **judged.choices(lambdas),
        curve=LambdaCurve(lambdas=tuple(lambdas), lds=tuple(judged.path.mean(axis=1).tolist())),
        ceiling=ceiling,
        of_bound=point / ceiling.bound if ceiling and ceiling.bound > 0 else None,
        per_query=tuple(judged.per_query.tolist()),
        resamples=Resamples(both=tuple(draws.both.tolist()), subsets=tuple(draws.subsets.tolist())),
        n_subsets=predictions.shape[1],
        n_queries=judged.path.shape[1],
        measured={
            name: _of_quantity(predictions, values, lambdas, options, seed, split)
            for name, values in measurements.items()
            if name != PRIMARY
        },
        query_lists={
            name: _of_queries(judged, listed.queries, options, seed, split)
            for name, listed in options.query_lists.items()
            if listed.split == split
        },
    )


@dataclass(frozen=True)
class _Judged:
    """Predictions held against one measurement, each query at the lambda chosen for it."""

    path: Float64[np.ndarray, "lambda query"]
    selection: Selection
    predictions: Float[np.ndarray, "subset query"]
    measurement: Float[np.ndarray, "subset query"]

    @property
    def per_query(self) -> Float64[np.ndarray, " query"]:
        return self.path[self.selection.per_query, np.arange(self.path.shape[1])]

    def choices(self, lambdas: Sequence[float | None]) -> dict[str, Any]:
        """Return the fields `selected` and `oracle` of a result."""
        selected, oracle = self.selection.selected, self.selection.oracle
        return {
            "selected": Selected(lam=lambdas[selected]),
            "oracle": Oracle(lam=lambdas[oracle], lds=float(self.path[oracle].mean())),
        }

    def draws(
        self, options: Lds, seed: int, split: str, queries: Sequence[int] | None = None
    ) -> Draws:
        chosen = slice(None) if queries is None else list(queries)
        return resampled(
            self.predictions[:, chosen], self.measurement[:, chosen], options.resamples, seed, split
        )


def _judge(
    predictions: Float[np.ndarray, "lambda subset query"],
    measurements: Float[np.ndarray, "seed subset query"],
    options: Lds,
    seed: int,
    split: str,
) -> _Judged:
    measurement = measurements.mean(axis=0)
    path = lds(predictions, measurement)
    selection = cross_fitted(path, options.folds, seed, split)
    columns = np.arange(path.shape[1])
    return _Judged(path, selection, predictions[selection.per_query, :, columns].T, measurement)


def _of_quantity(
    predictions: Float[np.ndarray, "lambda subset query"],
    measurements: Float[np.ndarray, "seed subset query"],
    lambdas: Sequence[float | None],
    options: Lds,
    seed: int,
    split: str,
) -> MeasuredLds:
    judged = _judge(predictions, measurements, options, seed, split)
    point, ceiling = float(judged.per_query.mean()), noise_ceiling(measurements)
    draws = judged.draws(options, seed, split)
    return MeasuredLds(
        lds=point,
        interval=interval(point, draws.both, options.confidence),
        **judged.choices(lambdas),
        bound=None if ceiling is None else ceiling.bound,
    )


def _of_queries(
    judged: _Judged, queries: Sequence[int], options: Lds, seed: int, split: str
) -> QueryListLds:
    point = float(judged.per_query[list(queries)].mean())
    draws = judged.draws(options, seed, split, queries)
    return QueryListLds(
        n_queries=len(queries),
        lds=point,
        interval=interval(point, draws.both, options.confidence),
    )
