"""Differences between methods: what is shared cancels, and verdicts follow from intervals."""

import msgspec
import numpy as np
import pytest

from diffattr.config import Lds
from diffattr.evaluation.comparison import (
    difference,
    pairs,
    sole_best,
    verdict,
    verdict_counts,
)
from diffattr.evaluation.result import LdsResult, Resamples, evaluate

GENERATOR = np.random.default_rng(0)
EVALUATED = evaluate(
    GENERATOR.normal(size=(1, 4, 3)),
    [None],
    {"loss": GENERATOR.normal(size=(1, 4, 3))},
    Lds(folds=2, resamples=100, confidence=0.95),
    1,
    "val",
)


def result(lds, draws) -> LdsResult:
    resamples = Resamples(both=tuple(draws), subsets=tuple(draws))
    return msgspec.structs.replace(EVALUATED, lds=lds, resamples=resamples)


# All methods' draws swing by 1; their differences hardly swing and are beyond doubt.
SWING = np.linspace(-1, 1, 100)
JITTER = 1e-3 * np.cos(np.arange(100))
RESULTS = {
    "b": result(0.2, 0.2 + SWING),
    "a": result(0.3, 0.3 + SWING + JITTER),
    "b again": result(0.2, 0.2 + SWING + 100 * JITTER),
}


def test_shared_noise_cancels_in_a_difference():
    assert difference(RESULTS, "a", "b", 0.95).verdict == "higher"
    assert difference(RESULTS, "b", "a", 0.95).verdict == "lower"


def test_a_method_does_not_differ_from_itself():
    found = difference(RESULTS, "a", "a", 0.95)
    assert (found.difference, found.verdict, found.confidence_higher) == (0, "undecided", 0.5)


def test_every_pair_is_compared_from_both_sides():
    names = ["a", "b", "b again"]
    found = pairs(RESULTS, names, 0.95)
    assert found.names == tuple(names)
    expected = [
        ("undecided", "higher", "undecided"),
        ("lower", "undecided", "undecided"),
        ("undecided", "undecided", "undecided"),
    ]
    assert list(found.verdict) == expected
    np.testing.assert_allclose(found.difference, -np.transpose(found.difference))
    assert found.difference[0][1] == pytest.approx(0.1)
    confidence = np.array(found.confidence_higher)
    np.testing.assert_allclose(confidence + confidence.T, 1)


def test_the_best_stands_alone_only_if_no_other_may_be_as_good():
    assert sole_best(RESULTS, ["b", "a"], 0.95) == "a"
    assert sole_best(RESULTS, ["b", "a", "b again"], 0.95) is None
    assert sole_best(RESULTS, ["b"], 0.95) == "b"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.1, 0.2), "higher"),
        ((-0.2, -0.1), "lower"),
        ((-0.1, 0.1), "undecided"),
        ((0.0, 0.1), "undecided"),
        ((-0.1, 0.0), "undecided"),
    ],
)
def test_an_interval_that_touches_zero_decides_nothing(interval, expected):
    assert verdict(interval) == expected


def test_verdicts_are_counted():
    found = verdict_counts(["higher", "undecided", "higher"])
    assert msgspec.structs.asdict(found) == {"higher": 2, "lower": 0, "undecided": 1}
