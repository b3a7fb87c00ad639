"""The rank of a query's own copy, counted by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffattr.evaluation.planted import planted_truth


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
    assert truth.ranks.tolist() == [1, 3, 2, 1]
    assert truth.recall_at_1 == 0.5
    assert truth.mean_rank == 7 / 4


def test_ties_count_against_the_method():
    # A method that gives every image the same score has found nothing.
    truth = planted_truth(np.zeros((2, 5)), np.array([0, 3]))
    assert truth.ranks.tolist() == [5, 5]
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
