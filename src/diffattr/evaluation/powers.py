"""The score-power audit: what LDS becomes when scores are bent before they are summed.

    sign(s) |s|^p       keeps the sign
    s^2                 loses it

A transformation of scores is no attribution method: it changes how much a few large scores count,
and lifts or lowers every method. Numbers of methods that ship with a power (DAS squares its scores)
are comparable only if all are treated alike, which is what this audit does.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from diffattr.config import Lds
from diffattr.evaluation.bootstrap import interval, resampled
from diffattr.evaluation.lds import lds

SQUARES = "squares"


def bent(
    scores: Float[np.ndarray, "query train"], power: float | str
) -> Float64[np.ndarray, "query train"]:
    """Return sign(s) |s|^power, or s^2 for `squares`."""
    scores = scores.astype(np.float64)
    if power == SQUARES:
        return np.square(scores)
    return np.sign(scores) * np.abs(scores) ** power


def audit(
    scores: Float[np.ndarray, "query train"],
    masks: Bool[np.ndarray, "subset train"],
    measurements: Float[np.ndarray, "seed subset query"],
    options: Lds,
    seed: int,
    split: str,
) -> list[dict[str, Any]]:
    """Return the LDS of each transformation, and its paired difference to plain scores."""
    measurement = measurements.mean(axis=0)

    def judged(power: float | str) -> tuple[float, Float64[np.ndarray, " resample"]]:
        predictions = masks.astype(np.float64) @ bent(scores, power).T
        draws = resampled(predictions, measurement, options.resamples, seed, split)
        return float(lds(predictions, measurement).mean()), draws.both

    plain, plain_draws = judged(1.0)
    rows = []
    powers: Sequence[float | str] = [*options.powers, SQUARES]
    for power in powers:
        point, draws = judged(power)
        difference = point - plain
        rows.append(
            {
                "power": power,
                "lds": point,
                "interval": interval(point, draws, options.confidence),
                "difference": difference,
                "difference_interval": interval(
                    difference, draws - plain_draws, options.confidence
                ),
            }
        )
    own = {"power": 1.0, "lds": plain, "interval": interval(plain, plain_draws, options.confidence)}
    return [{**own, "difference": 0.0, "difference_interval": (0.0, 0.0)}, *rows]
