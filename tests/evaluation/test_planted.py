"""The rank of a query's own copy, counted by hand."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffattr.artifacts import ArtifactError, read_struct, write_json
from diffattr.evaluation.planted import Planted, copy_positions, planted_ranks, planted_truth


def test_ranks_recall_and_mean_by_hand():
    scores = np.array(
        [
            [0.1, 0.9, 0.3],  # the copy is image 1: first
            [0.5, 0.4, 0.6],  # image 1: last
            [0.2, -1.0, 0.1],  # image 2: second
            [9.0, 1.0, 2.0],  # image 0: first
        ]
    )
    truth = planted_truth(scores, np.array([1, 1, 2, 0]))
    assert truth.ranks == (1, 3, 2, 1)
    assert truth.recall_at_1 == 0.5
    assert truth.mean_rank == 7 / 4


def test_ties_count_against_the_method():
    # A method that gives every image the same score has found nothing.
    truth = planted_truth(np.zeros((2, 5)), np.array([0, 3]))
    assert truth.ranks == (5, 5)
    assert truth.recall_at_1 == 0.0


def test_a_perfect_method():
    truth = planted_truth(np.eye(4) - 0.5, np.arange(4))
    assert (truth.recall_at_1, truth.mean_rank) == (1.0, 1.0)


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_the_rank_is_the_number_of_images_that_score_no_less(data):
    shape = (data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6)))
    scores = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(-2, 2).map(float)))
    copies = data.draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    ranks = planted_truth(scores, copies).ranks
    for query, copy in enumerate(copies):
        expected = sum(score >= scores[query, copy] for score in scores[query])
        assert ranks[query] == expected


def test_planted_copies_are_found_in_an_unsorted_training_set():
    train = np.array([30, 10, 20])
    assert copy_positions(train, np.array([20, 30])).tolist() == [2, 0]


def test_a_planted_query_without_a_copy_is_an_error():
    with pytest.raises(ArtifactError, match="image 99 of the data set is not in"):
        copy_positions(np.array([1, 2]), np.array([2, 99]))


def test_methods_are_ranked_by_how_well_they_find_the_copies(tmp_path):
    train, queries = np.array([30, 10, 20]), np.array([20, 30])
    perfect = np.array([[0.1, 0.2, 0.9], [0.9, 0.3, 0.1]])
    methods = [("worst", None, -perfect), ("best", 0.5, perfect), ("another best", 2.0, perfect)]
    found = planted_ranks(iter(methods), train, queries)
    rows = [(row.name, row.lam, row.recall_at_1, row.mean_rank, row.ranks) for row in found.methods]
    assert rows == [
        ("another best", 2.0, 1.0, 1.0, (1, 1)),
        ("best", 0.5, 1.0, 1.0, (1, 1)),
        ("worst", None, 0.0, 3.0, (3, 3)),
    ]
    assert (found.n_queries, found.copies) == (2, (2, 0))
    # Three images, each equally likely in every place.
    assert found.chance.mean_rank == np.mean([1, 2, 3])
    assert found.chance.recall_at_1 == 1 / 3
    write_json(tmp_path / "planted.json", msgspec.to_builtins(found))
    assert read_struct(tmp_path / "planted.json", Planted) == found
    assert json.loads((tmp_path / "planted.json").read_text())["methods"][0]["lambda"] == 2.0
