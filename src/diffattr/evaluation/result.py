"""All that is said about one method on one split, as one JSON value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from diffattr.config import PRIMARY, Lds
from diffattr.evaluation.bootstrap import Draws, interval, resampled
from diffattr.evaluation.ceiling import noise_ceiling
from diffattr.evaluation.lds import lds
from diffattr.evaluation.selection import Selection, cross_fitted


def evaluate(
    predictions: Float[np.ndarray, "lambda subset query"],
    lambdas: Sequence[float | None],
    measurements: Mapping[str, Float[np.ndarray, "seed subset query"]],
    options: Lds,
    seed: int,
    split: str,
) -> dict[str, Any]:
    """Return LDS at the cross-fitted and the oracle lambda, intervals, curve and ceiling.

    `measurements` maps each measured quantity to its values; `loss` is the one that everything
    but `measured`, where the others stand, is about. The measurement is the mean over training
    seeds; `ceiling` is null where there is one seed.
    """
    judged = _judge(predictions, measurements[PRIMARY], options, seed, split)
    point = float(judged.per_query.mean())
    draws = judged.draws(options, seed, split)
    ceiling = noise_ceiling(measurements[PRIMARY])
    return {
        **_summary(judged, draws, lambdas, options),
        "interval": {
            name: interval(point, getattr(draws, name), options.confidence)
            for name in ("both", "subsets", "queries")
        },
        "curve": {"lambdas": list(lambdas), "lds": judged.path.mean(axis=1).tolist()},
        "ceiling": None if ceiling is None else asdict(ceiling),
        "of_bound": point / ceiling.bound if ceiling and ceiling.bound > 0 else None,
        "per_query": judged.per_query.tolist(),
        "resamples": {"both": draws.both.tolist(), "subsets": draws.subsets.tolist()},
        "n_subsets": predictions.shape[1],
        "n_queries": judged.path.shape[1],
        "measured": {
            name: _of_quantity(predictions, values, lambdas, options, seed, split)
            for name, values in measurements.items()
            if name != PRIMARY
        },
        "query_lists": {
            name: _of_queries(judged, listed.queries, options, seed, split)
            for name, listed in options.query_lists.items()
            if listed.split == split
        },
    }


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


def _summary(
    judged: _Judged, draws: Draws, lambdas: Sequence[float | None], options: Lds
) -> dict[str, Any]:
    point, selection = float(judged.per_query.mean()), judged.selection
    return {
        "lds": point,
        "interval": interval(point, draws.both, options.confidence),
        "selected": {"lambda": lambdas[selection.selected]},
        "oracle": {
            "lambda": lambdas[selection.oracle],
            "lds": float(judged.path[selection.oracle].mean()),
        },
    }


def _of_quantity(
    predictions: Float[np.ndarray, "lambda subset query"],
    measurements: Float[np.ndarray, "seed subset query"],
    lambdas: Sequence[float | None],
    options: Lds,
    seed: int,
    split: str,
) -> dict[str, Any]:
    """Return the LDS against one measured quantity, with the lambda that suits it."""
    judged = _judge(predictions, measurements, options, seed, split)
    ceiling = noise_ceiling(measurements)
    return {
        **_summary(judged, judged.draws(options, seed, split), lambdas, options),
        "bound": None if ceiling is None else ceiling.bound,
    }


def _of_queries(
    judged: _Judged, queries: Sequence[int], options: Lds, seed: int, split: str
) -> dict[str, Any]:
    """Return the LDS over some queries, each at the lambda chosen among all."""
    point = float(judged.per_query[list(queries)].mean())
    draws = judged.draws(options, seed, split, queries)
    return {
        "n_queries": len(queries),
        "lds": point,
        "interval": interval(point, draws.both, options.confidence),
    }
