"""Confidence intervals by resampling subsets and queries.

The resamples are keyed by (seed, split, number) and not by the method, so that two methods' draws
belong together and their difference has an interval too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import ndtri

from diffattr import rng
from diffattr.evaluation.lds import BySubset, lds

Interval = tuple[float, float]
"""Lower and upper end of a confidence interval."""
Resampled = Float64[np.ndarray, " resample"]


@dataclass(frozen=True)
class Draws:
    """The mean LDS of each resample, when subsets, queries, or both are drawn again."""

    subsets: Resampled
    queries: Resampled
    both: Resampled


def resampled(
    predictions: BySubset, measurement: BySubset, n_resamples: int, seed: int, split: str
) -> Draws:
    """Return the mean LDS over resamples, each query at the lambda chosen for it."""
    n_subsets, n_queries = predictions.shape
    stream = rng.Stream(seed, "bootstrap", split)
    counts = np.empty((n_resamples, n_subsets))
    columns = np.empty((n_resamples, n_queries), dtype=np.int64)
    for number in range(n_resamples):
        generator = stream.generator(number)
        rows = generator.integers(n_subsets, size=n_subsets)
        counts[number] = np.bincount(rows, minlength=n_subsets)
        columns[number] = generator.integers(n_queries, size=n_queries)
    per_query = np.empty((n_resamples, n_queries))
    for query in range(n_queries):
        predicted = _centred_ranks(predictions[:, query], counts)
        measured = _centred_ranks(-measurement[:, query], counts)
        per_query[:, query] = _correlation(predicted, measured, counts)
    point = lds(predictions, measurement)
    return Draws(
        subsets=per_query.mean(axis=1),
        queries=point[columns].mean(axis=1),
        both=np.take_along_axis(per_query, columns, axis=1).mean(axis=1),
    )


def _centred_ranks(
    values: Float[np.ndarray, " subset"], counts: Float64[np.ndarray, "resample subset"]
) -> Float64[np.ndarray, "resample subset"]:
    """Return each subset's rank in every resample, minus the mean rank; ties share their mean.

    A rank is the number of drawn values below, and half of those equal: one matrix product ranks
    all resamples.
    """
    below = 0.5 * (values < values[:, None]) + 0.5 * (values <= values[:, None])
    return counts @ below.T - len(values) / 2


def _correlation(
    first: Float64[np.ndarray, "resample subset"],
    second: Float64[np.ndarray, "resample subset"],
    counts: Float64[np.ndarray, "resample subset"],
) -> Resampled:
    """Return Pearson's correlation, every subset as often as it was drawn; 0 for constants."""
    weighted = counts * first
    covariance = np.einsum("rm,rm->r", weighted, second)
    variances = np.einsum("rm,rm->r", weighted, first) * np.einsum(
        "rm,rm->r", counts * second, second
    )
    return covariance / np.sqrt(np.where(variances <= 0, np.inf, variances))


def interval(point: float, draws: Resampled, confidence: float) -> Interval:
    """Return the interval point -+ z * (standard deviation of the draws).

    Not a percentile interval: repeated subsets are tied in both rankings, which moves the draws as
    a whole, so that percentiles may miss the point estimate that they belong to.
    """
    half = float(ndtri((1 + confidence) / 2) * draws.std(ddof=1))
    return point - half, point + half
