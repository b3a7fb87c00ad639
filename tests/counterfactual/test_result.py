"""The counterfactual test's statistics and overlaps against loops, scipy and simulation."""

import msgspec
import numpy as np
import pytest
from scipy import stats

from diffattr.artifacts import read_struct, write_json
from diffattr.config import Lds
from diffattr.counterfactual.removals import Removal
from diffattr.counterfactual.result import (
    CounterfactualResult,
    chance_overlap,
    compared,
    overlap,
    overlaps,
    summary,
)

OPTIONS = Lds(folds=2, resamples=500, confidence=0.95)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_overlap_is_jaccard_s():
    first, second = np.array([[0, 1, 2], [0, 1, 2]]), np.array([[2, 1, 0], [2, 7, 8]])
    assert overlap(first, second).tolist() == [1.0, pytest.approx(1 / 5)]


@pytest.mark.parametrize(("n", "n_train"), [(1, 10), (4, 10), (8, 10), (10, 10)])
def test_chance_overlap_is_what_random_lists_share(n, n_train):
    draws = generator()
    lists = [[draws.permutation(n_train)[:n] for _ in range(4000)] for _ in range(2)]
    simulated = overlap(np.array(lists[0]), np.array(lists[1]))
    error = simulated.std() / np.sqrt(len(simulated))
    assert abs(chance_overlap(n, n_train) - simulated.mean()) <= 4 * error + 1e-12


def test_chance_overlap_of_a_fifth_is_near_the_published_level():
    # Zheng et al.'s counterfactual: 1000 of 5000; a share a of two lists overlaps by a / (2 - a).
    assert chance_overlap(1000, 5000) == pytest.approx(0.2 / 1.8, abs=1e-3)


def test_a_summary_s_statistics_are_those_of_the_paired_differences():
    control = generator(1).normal(size=40)
    values = control + 0.3 + generator(2).normal(size=40)
    values[5] = control[5]  # a tie
    found = summary(values, control, 4000, 0.95, seed=1)
    difference = values - control
    versus = found.versus_random
    assert found.per_query == tuple(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.median == pytest.approx(np.median(values))
    assert versus.difference == pytest.approx(difference.mean())
    assert versus.median_difference == pytest.approx(np.median(difference))
    assert versus.n_higher + versus.n_lower == 39
    expected = stats.binomtest(int((difference > 0).sum()), 39).pvalue
    assert versus.sign_test_p == pytest.approx(expected)
    # The bootstrap's standard deviation is that of the mean, up to simulation error.
    low, high = versus.interval
    half = 1.96 * difference.std() / np.sqrt(40)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert summary(values, None, 100, 0.95, seed=1).versus_random is None


def test_no_difference_is_no_evidence():
    values = generator().normal(size=10)
    versus = summary(values, values.copy(), 100, 0.95, seed=1).versus_random
    assert (versus.difference, versus.sign_test_p) == (0, 1.0)
    assert versus.interval == (0, 0)


def test_every_removal_is_held_against_random_of_its_own_size():
    removals = [
        Removal("random", "proponents", 0.1),
        Removal("trak", "proponents", 0.1),
        Removal("random", "proponents", 0.2),
        Removal("trak", "opponents", 0.2),
    ]
    measures = [{"pixel-l2": generator(n).random(6)} for n in range(4)]
    found = compared(removals, measures, "random", OPTIONS, seed=1)
    versus = [row.measures["pixel-l2"].versus_random for row in found]
    assert versus[0] is versus[2] is None
    for row, control in ((1, 0), (3, 2)):
        difference = measures[row]["pixel-l2"] - measures[control]["pixel-l2"]
        assert versus[row].difference == pytest.approx(difference.mean())
    said = [(row.method, row.side, row.fraction) for row in found]
    assert said == [(removal.method, removal.side, removal.fraction) for removal in removals]


def test_overlaps_are_of_every_pair_and_size():
    draws = generator()
    removed = {
        name: np.array([draws.permutation(20)[:8] for _ in range(3)]) for name in ("a", "b", "c")
    }
    found = overlaps(removed, {0.2: 4, 0.4: 8}, 20)
    pairs = {(row.fraction, row.first, row.second) for row in found}
    assert len(found) == len(pairs) == 2 * 3
    row = next(r for r in found if (r.fraction, r.first, r.second) == (0.2, "a", "c"))
    by_hand = []
    for first, second in zip(removed["a"][:, :4], removed["c"][:, :4], strict=True):
        shared = len(set(first.tolist()) & set(second.tolist()))
        by_hand.append(shared / (8 - shared))
    assert row.jaccard == pytest.approx(np.mean(by_hand))
    assert row.chance == pytest.approx(chance_overlap(4, 20))


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    removals = [Removal("random", "proponents", 0.1), Removal("trak", "proponents", 0.1)]
    measures = [{"pixel-l2": generator(n).random(3)} for n in range(2)]
    orders = {name: np.array([[0, 1, 2, 3]] * 3) for name in ("random", "trak")}
    result = CounterfactualResult(
        queries=(4, 0, 2),
        n_train=4,
        seeds=(1,),
        removals=compared(removals, measures, "random", OPTIONS, seed=1),
        overlaps=overlaps(orders, {0.1: 2}, 4),
    )
    write_json(tmp_path / "result.json", msgspec.to_builtins(result))
    assert read_struct(tmp_path / "result.json", CounterfactualResult) == result
