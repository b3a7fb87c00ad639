"""The noise ceiling: how far any score can get against a noisy measurement.

Let r be the Spearman correlation over subsets between the measurements of two training seeds. The
measurement that LDS uses is the mean over S seeds; its reliability is given by Spearman-Brown,

    R = S r / (1 + (S - 1) r).

A predictor without noise of its own correlates with the measurement at most by sqrt(R), the bound.
One more retraining, used as a predictor, is itself noisy and reaches only sqrt(r R). Sums of scores
carry no training noise, so a good method may well pass the second and never the first.
Source: Spearman (1910) and Brown (1910); Lord and Novick, "Statistical theories of mental test
scores" (1968), ch. 3-4.
"""

import itertools
import math

import numpy as np
from jaxtyping import Float64

from diffattr.artifacts import Result
from diffattr.evaluation.lds import Measurements, standardised_ranks


class Ceiling(Result, frozen=True):
    """What the noise of the measurement allows, each a mean over queries.

    Attributes:
        n_seeds: training seeds per subset.
        repeat: rank correlation over subsets between the measurements of two seeds.
        bound: the highest LDS that a noise-free predictor can expect.
        one_more_retraining: the LDS of predicting by the losses of one more training seed.
    """

    n_seeds: int
    repeat: float
    bound: float
    one_more_retraining: float


def seed_correlations(measurements: Measurements) -> Float64[np.ndarray, " query"]:
    """Return Spearman's correlation between seeds, mean over pairs of seeds, per query."""
    ranks = standardised_ranks(measurements)
    pairs = list(itertools.combinations(range(len(ranks)), 2))
    return np.mean([np.einsum("mq,mq->q", ranks[a], ranks[b]) for a, b in pairs], axis=0)


def noise_ceiling(measurements: Measurements) -> Ceiling | None:
    """Return the ceiling, or None where one seed leaves it unknown."""
    n_seeds = len(measurements)
    if n_seeds < 2:
        return None
    repeat = float(seed_correlations(measurements).mean())
    # Below zero there is no signal to bound.
    signal = max(repeat, 0.0)
    reliability = n_seeds * signal / (1 + (n_seeds - 1) * signal)
    return Ceiling(
        n_seeds=n_seeds,
        repeat=repeat,
        bound=math.sqrt(reliability),
        one_more_retraining=math.sqrt(signal * reliability),
    )
