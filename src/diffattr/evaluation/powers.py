"""The score-power audit: what LDS becomes when scores are bent before they are summed.

    sign(s) |s|^p       keeps the sign
    s^2                 loses it

A transformation of scores is no attribution method: it changes how much a few large scores count,
and lifts or lowers every method. Numbers of methods that ship with a power (DAS squares its scores)
are comparable only if all are treated alike, which is what this audit does.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64

from diffattr.config import Lds, Section
from diffattr.evaluation.bootstrap import interval, resampled
from diffattr.evaluation.lds import lds

SQUARES = "squares"


class Bent(Section, frozen=True):
    """The LDS of scores bent by one power, and its paired difference to that of plain scores."""

    power: float | str
    lds: float
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]


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
) -> list[Bent]:
    """Return the LDS of each transformation: plain scores, the powers of the config, squares."""
    measurement, confidence = measurements.mean(axis=0), options.confidence

    def judged(power: float | str) -> tuple[float, Float64[np.ndarray, " resample"]]:
        predictions = masks.astype(np.float64) @ bent(scores, power).T
        draws = resampled(predictions, measurement, options.resamples, seed, split)
        return float(lds(predictions, measurement).mean()), draws.both

    plain, plain_draws = judged(1.0)

    def row(power: float | str, point: float, draws: Float64[np.ndarray, " resample"]) -> Bent:
        difference = point - plain
        return Bent(
            power=power,
            lds=point,
            interval=interval(point, draws, confidence),
            difference=difference,
            difference_interval=interval(difference, draws - plain_draws, confidence),
        )

    powers: Sequence[float | str] = [*options.powers, SQUARES]
    return [
        row(1.0, plain, plain_draws),
        *(row(power, *judged(power)) for power in powers),
    ]
