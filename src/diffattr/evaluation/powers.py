"""The score-power audit: LDS of scores that are raised to a power before they are summed.

    sign(s) |s|^p       keeps the sign
    s^2                 loses it

A transformation of scores is no attribution method: it changes how much a few large scores count,
and lifts or lowers every method. Numbers of methods that ship with a power (DAS squares its scores)
are comparable only if all are treated alike, which is what this audit does.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from diffattr.artifacts import Result
from diffattr.config import Lds
from diffattr.evaluation.bootstrap import Interval, Resampled, interval, resampled
from diffattr.evaluation.lds import Measurements, lds

SQUARES = "squares"


class PowerAudit(Result, frozen=True):
    """LDS of scores transformed to sign(s) |s|^power, or s^2 for `squares`.

    Attributes:
        power: the exponent, or `squares`; 1 stands for the plain scores.
        lds: mean over queries, at the selected lambda.
        interval: bootstrap over subsets and queries.
        difference: LDS minus that of the plain scores.
        difference_interval: paired bootstrap of the difference.
    """

    power: float | str
    lds: float
    interval: Interval
    difference: float
    difference_interval: Interval


def to_power(
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
    measurements: Measurements,
    options: Lds,
    seed: int,
    split: str,
) -> list[PowerAudit]:
    """Return the LDS of each transformation: plain scores, the powers of the config, squares."""
    measurement, confidence = measurements.mean(axis=0), options.confidence

    def judged(power: float | str) -> tuple[float, Resampled]:
        predictions = masks.astype(np.float64) @ to_power(scores, power).T
        draws = resampled(predictions, measurement, options.resamples, seed, split)
        return float(lds(predictions, measurement).mean()), draws.both

    powers: list[float | str] = [1.0, *options.powers, SQUARES]
    found = [judged(power) for power in powers]
    plain, plain_draws = found[0]
    return [
        PowerAudit(
            power=power,
            lds=point,
            interval=interval(point, draws, confidence),
            difference=point - plain,
            difference_interval=interval(point - plain, draws - plain_draws, confidence),
        )
        for power, (point, draws) in zip(powers, found, strict=True)
    ]
