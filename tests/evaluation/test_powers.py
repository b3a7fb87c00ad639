"""The score-power audit against loops and scipy."""

import numpy as np
import pytest
from scipy import stats

from diffattr.config import Lds
from diffattr.evaluation.powers import audit, to_power

OPTIONS = Lds(folds=2, resamples=200, confidence=0.9, powers=(0.5, 3.0))
GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.normal(size=(6, 20)).astype(np.float32)
MASKS = np.array([GENERATOR.permutation(20) < 10 for _ in range(15)])
MEASUREMENTS = GENERATOR.normal(size=(2, 15, 6)) - 0.3 * (MASKS @ SCORES.T)


def by_hand(transform):
    measured = MEASUREMENTS.mean(axis=0)
    found = []
    for query in range(6):
        predicted = [sum(transform(float(s)) for s in SCORES[query][mask]) for mask in MASKS]
        found.append(stats.spearmanr(predicted, -measured[:, query]).statistic)
    return np.mean(found)


TRANSFORMS = {
    1.0: lambda s: s,
    0.5: lambda s: np.sign(s) * abs(s) ** 0.5,
    3.0: lambda s: s**3,
    "squares": lambda s: s * s,
}


def test_every_row_is_the_lds_of_the_transformed_scores():
    rows = audit(SCORES, MASKS, MEASUREMENTS, OPTIONS, 1, "val")
    assert [row.power for row in rows] == list(TRANSFORMS)
    for row in rows:
        assert row.lds == pytest.approx(by_hand(TRANSFORMS[row.power]), abs=1e-12)
        assert row.difference == pytest.approx(row.lds - rows[0].lds, abs=1e-12)
        low, high = row.interval
        assert low < row.lds < high
        low, high = row.difference_interval
        assert low <= row.difference <= high


def test_squares_of_scores_of_one_sign_are_the_power_of_two():
    positive = np.abs(SCORES)
    np.testing.assert_array_equal(to_power(positive, "squares"), to_power(positive, 2.0))
    assert (to_power(-positive, 2.0) == -to_power(positive, 2.0)).all()
    assert to_power(SCORES, 0.5).dtype == np.float64
