"""Confidence intervals by resampling subsets and queries.

The resamples are keyed by (seed, split, number) and not by the method, so that two methods' draws
belong together and their difference has an interval too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import ndtri

from diffattr import rng
from diffattr.evaluation.lds import lds


@dataclass(frozen=True)
class Draws:
    """The mean LDS of each resample, when subsets, queries, or both are drawn again."""

    subsets: Float64[np.ndarray, " resample"]
    queries: Float64[np.ndarray, " resample"]
    both: Float64[np.ndarray, " resample"]


def resampled(
    predictions: Float[np.ndarray, "subset query"],
    measurement: Float[np.ndarray, "subset query"],
    n_resamples: int,
    seed: int,
    split: str,
) -> Draws:
    """Return the mean LDS over resamples, each query at the lambda chosen for it."""
    n_subsets, n_queries = predictions.shape
    stream = rng.Stream(seed, "bootstrap", split)
    point = lds(predictions, measurement)
    draws = np.empty((3, n_resamples))
    for number in range(n_resamples):
        generator = stream.generator(number)
        rows = generator.integers(n_subsets, size=n_subsets)
        columns = generator.integers(n_queries, size=n_queries)
        per_query = lds(predictions[rows], measurement[rows])
        draws[:, number] = per_query.mean(), point[columns].mean(), per_query[columns].mean()
    return Draws(*draws)


def interval(
    point: float, draws: Float64[np.ndarray, " resample"], confidence: float
) -> tuple[float, float]:
    """Return the interval point -+ z * (standard deviation of the draws).

    Not a percentile interval: repeated subsets are tied in both rankings, which moves the draws as
    a whole, so that percentiles may miss the point estimate that they belong to.
    """
    half = float(ndtri((1 + confidence) / 2) * draws.std(ddof=1))
    return point - half, point + half
