"""Cross-fitting: no query has a say in the lambda at which it is judged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.evaluation.selection import cross_fitted

N_LAMBDAS = 4


def path(n_queries, seed=0):
    return np.random.default_rng(seed).normal(size=(N_LAMBDAS, n_queries))


def folds(n_queries, n_folds, seed=1, split="val"):
    """Find out who shares a fold: a query that outweighs all sways everyone but its own fold."""
    together = np.zeros((n_queries, n_queries), dtype=bool)
    for loud in range(n_queries):
        values = np.zeros((N_LAMBDAS, n_queries))
        values[3, loud] = 1.0
        together[loud] = cross_fitted(values, n_folds, seed, split).per_query != 3
    return together


@pytest.mark.parametrize(("n_queries", "n_folds"), [(10, 5), (11, 3), (7, 7), (5, 2)])
def test_the_folds_deal_out_the_queries_evenly(n_queries, n_folds):
    together = folds(n_queries, n_folds)
    assert together.diagonal().all()
    assert np.array_equal(together, together.T)
    distinct = {tuple(row) for row in together}
    assert len(distinct) == n_folds
    sizes = sorted(sum(row) for row in distinct)
    assert sum(sizes) == n_queries
    assert sizes[-1] - sizes[0] <= 1


@pytest.mark.parametrize("data_seed", range(5))
def test_each_query_is_judged_at_the_lambda_that_is_best_for_the_other_folds(data_seed):
    values = path(11, data_seed)
    together = folds(11, 3)
    found = cross_fitted(values, 3, 1, "val")
    for query in range(11):
        others = [other for other in range(11) if not together[query, other]]
        means = [np.mean([values[lam, other] for other in others]) for lam in range(N_LAMBDAS)]
        assert found.per_query[query] == int(np.argmax(means))


@pytest.mark.parametrize("data_seed", range(5))
def test_the_selected_lambda_is_the_median_of_the_folds_choices(data_seed):
    values = path(10, data_seed)
    together = folds(10, 5)
    found = cross_fitted(values, 5, 1, "val")
    firsts = [row.argmax() for row in np.unique(together, axis=0)]
    assert found.selected == np.median([found.per_query[first] for first in firsts])


@given(
    query=st.integers(0, 9),
    column=st.lists(st.floats(-1e6, 1e6), min_size=N_LAMBDAS, max_size=N_LAMBDAS),
    data_seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_a_querys_own_values_never_change_its_own_lambda(query, column, data_seed):
    values = path(10, data_seed)
    changed = values.copy()
    changed[:, query] = column
    before = cross_fitted(values, 5, 1, "val").per_query[query]
    assert cross_fitted(changed, 5, 1, "val").per_query[query] == before


def test_other_queries_do_have_a_say():
    # Else the test above would hold for a choice that ignores all numbers.
    assert not folds(10, 5).all()


@pytest.mark.parametrize("data_seed", range(5))
def test_the_oracle_is_at_least_as_good_as_every_lambda_and_as_cross_fitting(data_seed):
    values = path(20, data_seed)
    found = cross_fitted(values, 5, 1, "val")
    oracle = values[found.oracle].mean()
    assert all(oracle >= row.mean() for row in values)
    assert oracle >= values[found.per_query, np.arange(20)].mean()


def test_one_lambda_leaves_no_choice():
    found = cross_fitted(path(6)[:1], 2, 1, "val")
    assert found.per_query.tolist() == [0] * 6
    assert found.selected == found.oracle == 0


def test_the_folds_are_keyed_by_seed_and_split():
    first = folds(12, 3)
    assert np.array_equal(first, folds(12, 3))
    assert not np.array_equal(first, folds(12, 3, seed=2))
    assert not np.array_equal(first, folds(12, 3, split="gen"))


def test_fewer_queries_than_folds_are_refused():
    with pytest.raises(
        ValueError, match=r"measurement.lds.folds: 5 folds asked for, split gen has 4 queries"
    ):
        cross_fitted(path(4), 5, 1, "gen")
