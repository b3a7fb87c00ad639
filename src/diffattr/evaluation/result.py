"""All that is said about one method on one split, as one JSON value."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr.config import Lds
from diffattr.evaluation.bootstrap import interval, resampled
from diffattr.evaluation.ceiling import noise_ceiling
from diffattr.evaluation.lds import lds
from diffattr.evaluation.selection import cross_fitted


def evaluate(
    predictions: Float[np.ndarray, "lambda subset query"],
    lambdas: Sequence[float | None],
    measurements: Float[np.ndarray, "seed subset query"],
    options: Lds,
    seed: int,
    split: str,
) -> dict[str, Any]:
    """Return LDS at the cross-fitted and the oracle lambda, intervals, curve and ceiling.

    The measurement is the mean over training seeds. `ceiling` is null where there is one seed.
    """
    measurement = measurements.mean(axis=0)
    path = lds(predictions, measurement)
    selection = cross_fitted(path, options.folds, seed, split)
    columns = np.arange(path.shape[1])
    per_query = path[selection.per_query, columns]
    point = float(per_query.mean())
    judged = predictions[selection.per_query, :, columns].T
    draws = resampled(judged, measurement, options.resamples, seed, split)
    ceiling = noise_ceiling(measurements)
    return {
        "lds": point,
        "interval": {
            name: interval(point, getattr(draws, name), options.confidence)
            for name in ("both", "subsets", "queries")
        },
        "selected": {"lambda": lambdas[selection.selected]},
        "oracle": {
            "lambda": lambdas[selection.oracle],
            "lds": float(path[selection.oracle].mean()),
        },
        "curve": {"lambdas": list(lambdas), "lds": path.mean(axis=1).tolist()},
        "ceiling": None if ceiling is None else asdict(ceiling),
        "of_bound": point / ceiling.bound if ceiling and ceiling.bound > 0 else None,
        "per_query": per_query.tolist(),
        "resamples": {"both": draws.both.tolist(), "subsets": draws.subsets.tolist()},
        "n_subsets": predictions.shape[1],
        "n_queries": path.shape[1],
    }
