"""All that is said about one method on one split, as one typed value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from diffattr.config import PRIMARY, Lds, Section
from diffattr.evaluation.bootstrap import Draws, interval, resampled
from diffattr.evaluation.ceiling import Ceiling, noise_ceiling
from diffattr.evaluation.lds import lds
from diffattr.evaluation.selection import Selection, cross_fitted

Interval = tuple[float, float]


class Selected(Section, frozen=True, rename={"lam": "lambda"}):
    """The lambda that a user of the method would take; None where the method has none."""

    lam: float | None


class Oracle(Section, frozen=True, rename={"lam": "lambda"}):
    """The lambda that is best in hindsight, and the LDS at it."""

    lam: float | None
    lds: float


class Intervals(Section, frozen=True):
    """Intervals of the LDS when subsets, queries, or both are drawn again."""

    both: Interval
    subsets: Interval
    queries: Interval


class Curve(Section, frozen=True):
    """The mean LDS over queries at each lambda."""

    lambdas: tuple[float | None, ...]
    lds: tuple[float, ...]


class Resamples(Section, frozen=True):
    """The mean LDS of each resample."""

    both: tuple[float, ...]
    subsets: tuple[float, ...]


class Measured(Section, frozen=True):
    """The LDS against one further quantity, at the lambda that suits it; None: no ceiling."""

    lds: float
    interval: Interval
    selected: Selected
    oracle: Oracle
    bound: float | None


class Listed(Section, frozen=True):
    """The LDS over some queries, each at the lambda chosen among all."""

    n_queries: int
    lds: float
    interval: Interval


class LdsResult(Section, frozen=True):
    """LDS of one method on one split.

    `ceiling` is None where there is one training seed, `of_bound` (the share of its bound) also
    where the bound is zero; `measured` is by quantity, `query_lists` by the list's name.
    """

    lds: float
    interval: Intervals
    selected: Selected
    oracle: Oracle
    curve: Curve
    ceiling: Ceiling | None
    of_bound: float | None
    per_query: tuple[float, ...]
    resamples: Resamples
    n_subsets: int
    n_queries: int
    measured: dict[str, Measured]
    query_lists: dict[str, Listed]


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
        curve=Curve(lambdas=tuple(lambdas), lds=tuple(judged.path.mean(axis=1).tolist())),
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
) -> Measured:
    judged = _judge(predictions, measurements, options, seed, split)
    point, ceiling = float(judged.per_query.mean()), noise_ceiling(measurements)
    draws = judged.draws(options, seed, split)
    return Measured(
        lds=point,
        interval=interval(point, draws.both, options.confidence),
        **judged.choices(lambdas),
        bound=None if ceiling is None else ceiling.bound,
    )


def _of_queries(
    judged: _Judged, queries: Sequence[int], options: Lds, seed: int, split: str
) -> Listed:
    point = float(judged.per_query[list(queries)].mean())
    draws = judged.draws(options, seed, split, queries)
    return Listed(
        n_queries=len(queries),
        lds=point,
        interval=interval(point, draws.both, options.confidence),
    )
