"""The counterfactual test's lists, distances and statistics against loops, scipy and simulation."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diffattr.artifacts import write_arrays
from diffattr.config import Lds
from diffattr.data.removals import Removal
from diffattr.evaluation.counterfactual import (
    Outcome,
    chance_overlap,
    compared,
    cosines,
    moved,
    of_outcomes,
    overlap,
    overlaps,
    pixel_distances,
    read_outcome,
    removal_order,
    summary,
)

OPTIONS = Lds(folds=2, resamples=500, confidence=0.95)


def generator(seed=0):
    return np.random.default_rng(seed)


@given(st.integers(1, 6), st.integers(2, 12), st.data())
def test_removals_follow_the_scores_down_or_up(q, n, data):
    values = st.lists(st.integers(-3, 3), min_size=n, max_size=n)
    scores = np.array(data.draw(st.lists(values, min_size=q, max_size=q)), dtype=np.float32)
    found = removal_order(scores)
    for side, sign in (("proponents", 1), ("opponents", -1)):
        assert found[side].shape == (q, n)
        for row, order in zip(scores, found[side], strict=True):
            assert sorted(order.tolist()) == list(range(n))
            assert (np.diff(sign * row[order]) <= 0).all()


def test_ties_are_removed_by_position():
    found = removal_order(np.zeros((1, 4), np.float32))
    assert found["proponents"].tolist() == found["opponents"].tolist() == [[0, 1, 2, 3]]


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


def test_distances_equal_loops():
    first, second = generator().normal(size=(2, 4, 3, 2, 2)).astype(np.float32)
    found = pixel_distances(first, second)
    for a, b, distance in zip(first, second, found, strict=True):
        squares = sum((float(x) - float(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True))
        assert distance == pytest.approx(squares**0.5, rel=1e-6)
    assert not pixel_distances(first, first).any()


def test_cosines_equal_scipy_and_are_zero_for_a_zero_row():
    from scipy.spatial.distance import cosine

    first, second = generator().normal(size=(2, 4, 5))
    first[2] = 0
    found = cosines(first, second)
    for row in (0, 1, 3):
        assert found[row] == pytest.approx(1 - cosine(first[row], second[row]), rel=1e-12)
    assert found[2] == 0


def test_a_summary_s_statistics_are_those_of_the_paired_differences():
    control = generator(1).normal(size=40)
    values = control + 0.3 + generator(2).normal(size=40)
    values[5] = control[5]  # a tie
    found = summary(values, control, 4000, 0.95, seed=1)
    difference = values - control
    versus = found["versus_random"]
    assert found["mean"] == pytest.approx(values.mean())
    assert found["median"] == pytest.approx(np.median(values))
    assert versus["difference"] == pytest.approx(difference.mean())
    assert versus["median_difference"] == pytest.approx(np.median(difference))
    assert versus["n_higher"] + versus["n_lower"] == 39
    expected = stats.binomtest(int((difference > 0).sum()), 39).pvalue
    assert versus["sign_test_p"] == pytest.approx(expected)
    # The bootstrap's standard deviation is that of the mean, up to simulation error.
    low, high = versus["interval"]
    half = 1.96 * difference.std() / np.sqrt(40)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert summary(values, None, 100, 0.95, seed=1)["versus_random"] is None


def test_no_difference_is_no_evidence():
    values = generator().normal(size=10)
    versus = summary(values, values.copy(), 100, 0.95, seed=1)["versus_random"]
    assert (versus["difference"], versus["sign_test_p"]) == (0, 1.0)
    assert versus["interval"] == (0, 0)


def test_moves_are_means_over_seeds_of_blocks_put_together(tmp_path):
    draws = generator()
    originals = draws.normal(size=(5, 1, 2, 2)).astype(np.float32)
    own = draws.random((5, 3)).astype(np.float32)
    images = draws.normal(size=(2, 5, 1, 2, 2)).astype(np.float32)
    losses = draws.random((2, 5, 3)).astype(np.float32)
    original = Outcome(originals, own)
    blocks, outcomes = [[0, 1, 2], [3, 4]], []
    for seed in range(2):
        paths = [tmp_path / f"{seed}-{block[0]}.zarr.zip" for block in blocks]
        for path, block in zip(paths, blocks, strict=True):
            stored = {"images": images[seed, block], "losses": losses[seed, block]}
            write_arrays(path, stored, {"queries": block})
        outcomes.append(read_outcome(paths, blocks, original))

    def flat(x):
        return x.reshape(len(x), -1)

    embeddings = {"flat": of_outcomes(flat, of_pictures=True)}
    found = moved(original, outcomes, embeddings, {"flat": flat(originals)})
    assert found.keys() == {"pixel-l2", "loss-change", "flat-cosine"}
    for query in range(5):
        distances = [np.linalg.norm(images[s, query] - originals[query]) for s in range(2)]
        assert found["pixel-l2"][query] == pytest.approx(np.mean(distances), rel=1e-6)
        changes = [losses[s, query].mean() - own[query].mean() for s in range(2)]
        cosines_by_hand = [
            np.dot(images[s, query].ravel(), originals[query].ravel())
            / np.linalg.norm(images[s, query])
            / np.linalg.norm(originals[query])
            for s in range(2)
        ]
        assert found["flat-cosine"][query] == pytest.approx(np.mean(cosines_by_hand), rel=1e-5)
        assert found["loss-change"][query] == pytest.approx(np.mean(changes), rel=1e-5, abs=1e-7)


def test_every_removal_is_held_against_random_of_its_own_size():
    removals = [
        Removal("random", "proponents", 0.1),
        Removal("trak", "proponents", 0.1),
        Removal("random", "proponents", 0.2),
        Removal("trak", "opponents", 0.2),
    ]
    measures = [{"pixel-l2": generator(n).random(6)} for n in range(4)]
    found = compared(removals, measures, "random", OPTIONS, seed=1)
    versus = [row["measures"]["pixel-l2"]["versus_random"] for row in found]
    assert versus[0] is versus[2] is None
    for row, control in ((1, 0), (3, 2)):
        difference = measures[row]["pixel-l2"] - measures[control]["pixel-l2"]
        assert versus[row]["difference"] == pytest.approx(difference.mean())
    assert json.loads(json.dumps(found))[3]["side"] == "opponents"


def test_overlaps_are_of_every_pair_and_size():
    draws = generator()
    removed = {
        name: np.array([draws.permutation(20)[:8] for _ in range(3)]) for name in ("a", "b", "c")
    }
    found = overlaps(removed, {0.2: 4, 0.4: 8}, 20)
    pairs = {(row["fraction"], row["first"], row["second"]) for row in found}
    assert len(found) == len(pairs) == 2 * 3
    row = next(r for r in found if (r["fraction"], r["first"], r["second"]) == (0.2, "a", "c"))
    by_hand = []
    for first, second in zip(removed["a"][:, :4], removed["c"][:, :4], strict=True):
        shared = len(set(first.tolist()) & set(second.tolist()))
        by_hand.append(shared / (8 - shared))
    assert row["jaccard"] == pytest.approx(np.mean(by_hand))
    assert row["chance"] == pytest.approx(chance_overlap(4, 20))
