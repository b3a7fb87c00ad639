"""What is removed for the counterfactual evaluation, and the refusal of what cannot be."""

import numpy as np
import pytest
from changed_config import DELETED, assert_refused, benchmark
from dags import jobs_of, trained
from hypothesis import given
from hypothesis import strategies as st

from diffattr.config import ConfigError
from diffattr.counterfactual.removals import Removal, is_removal, removal_order

EVERY = "configs/every-method.yaml"


def test_every_method_removes_proponents_and_all_but_random_removes_opponents():
    found = [(r.method, r.side, r.fraction) for r in benchmark(name=EVERY).counts.removals]
    assert found == [
        ("random", "proponents", 0.25),
        ("trak-4", "proponents", 0.25),
        ("trak-4", "opponents", 0.25),
        ("d-trak-4", "proponents", 0.25),
        ("d-trak-4", "opponents", 0.25),
    ]
    without = benchmark({"counterfactual.opponents": False}, EVERY).counts.removals
    assert {removal.side for removal in without} == {"proponents"}
    assert benchmark().counts.removals == []


def test_the_models_of_a_removal_are_a_group_with_a_subset_per_query():
    every = benchmark(name=EVERY)
    group = Removal("trak-4", "opponents", 0.25).group
    assert group == "counterfactual/trak-4/opponents-0.25"
    assert is_removal(group)
    assert Removal.of(group) == Removal("trak-4", "opponents", 0.25)
    assert every.counts.blocks(group) == {0: [0, 1, 2, 3], 1: [4]}
    assert every.counts.subset_size(group) == 36  # 48 images without a quarter
    assert trained(jobs_of(name=EVERY), group) == {(42, 0), (42, 1), (43, 0), (43, 1)}
    assert not is_removal("lds")
    assert not is_removal("counterfactual/../opponents-0.25")


def test_more_queries_keep_the_first_and_are_distinct():
    few = benchmark({"counterfactual.n_queries": 3}, EVERY).counts.removal_queries
    many = benchmark({"counterfactual.n_queries": 10}, EVERY).counts.removal_queries
    assert many[:3] == few
    assert sorted(many) == list(range(10))
    other = benchmark({"counterfactual.n_queries": 10, "seed": 43}, EVERY).counts.removal_queries
    assert other != many


def test_the_plan_counts_retraining_and_redrawing():
    jobs = jobs_of({"sweeps": {}}, EVERY)
    own = [job for job in jobs if job.rule == "train_block" and "counterfactual" in job.outputs[0]]
    # 5 removals with 2 seeds: 5 models of 36 images, 3 epochs in batches of 8, blocks of 4 and 1.
    assert len(own) == 5 * 2 * 2
    assert sum(job.work.model_steps for job in own) == 5 * 2 * 5 * 3 * 5
    assert sum(job.work.forwards for job in own) == 5 * 2 * 5 * 3 * 36
    redrawn = [job for job in jobs if job.rule == "redraw"]
    assert len(redrawn) == 5 * 2 * 2
    assert sum(job.work.forwards for job in redrawn) == 5 * 2 * 5 * (5 + 5)
    assert len([job for job in jobs if job.rule == "removals"]) == 3
    # The 36 images that are left, for 5 queries in blocks of 4 and 1.
    left = [job for job in jobs if job.rule == "remaining"]
    assert (len(left), sum(job.work.n_bytes for job in left)) == (5 * 2, 5 * 5 * 36 * 8)
    # Two timesteps of the bottleneck for every redrawn query, and once for the originals.
    (compared,) = (job for job in jobs if job.rule == "compare_redrawn")
    assert compared.work.forwards == (5 * 2 * 5 + 5) * 2


IMPOSSIBLE = {
    "more queries than were generated": (
        {"counterfactual.n_queries": 11},
        "counterfactual.n_queries",
        "11 sampling.n_images 10",
    ),
    "a method that is not there": (
        {"counterfactual.methods": ["random", "trak"]},
        "counterfactual.methods",
        "'trak' trak-4",
    ),
    "no random method": (
        {"counterfactual.methods": ["trak-4"]},
        "counterfactual.methods",
        "random-1",
    ),
    "a removal as large as the training set": (
        {"counterfactual.fractions": [0.25, 0.999]},
        "counterfactual.fractions",
        "0.999 48",
    ),
    "a removal of nothing": (
        {"counterfactual.fractions": [0.25, 0.001]},
        "counterfactual.fractions",
        "0.001 removes 0 of 48",
    ),
    "retraining of what is not written": (
        {"counterfactual.retrain": [0.5]},
        "counterfactual.retrain",
        "0.5 [0.1, 0.25]",
    ),
    "an embedding that is not there": (
        {"counterfactual.embeddings": ["clip"]},
        "counterfactual.embeddings",
        "'clip' bottleneck",
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_impossible_is_refused_in_one_line_that_starts_with_the_key(what):
    changes, key, words = IMPOSSIBLE[what]
    assert_refused(benchmark, changes, EVERY, key=key, words=words)


def test_random_under_methods_is_asked_for_where_there_is_none():
    changes = {
        "methods.random": DELETED,
        "methods.random-1": DELETED,
        "counterfactual.methods": ["trak-4"],
    }
    with pytest.raises(ConfigError, match=r"add \{method: random\} under methods"):
        benchmark(changes, EVERY)


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
