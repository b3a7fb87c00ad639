"""The longest path through jobs."""

import itertools

import networkx
import pytest
from dags import EVERY, jobs_of
from hypothesis import given
from hypothesis import strategies as st

from diffattr.plan.dag import Job, longest_chain
from diffattr.plan.work import Work


def job(name, *waits_for):
    return Job("rule", {}, (name, f"{name}-more"), frozenset(waits_for), True, Work())


DIAMOND = [job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")]


def test_the_longer_side_of_a_diamond_is_the_chain():
    seconds = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0}
    assert [j.name for j in longest_chain(DIAMOND, lambda j: seconds[j.name])] == ["a", "b", "d"]
    seconds["c"] = 6.0
    assert [j.name for j in longest_chain(DIAMOND, lambda j: seconds[j.name])] == ["a", "c", "d"]


def test_a_long_job_that_nothing_waits_for_is_a_chain():
    seconds = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0, "alone": 9.0}
    jobs = [*DIAMOND, job("alone")]
    assert [j.name for j in longest_chain(jobs, lambda j: seconds[j.name])] == ["alone"]


def test_what_is_done_takes_no_time():
    left = [j for j in DIAMOND if j.name in "cd"]
    assert [j.name for j in longest_chain(left, lambda j: 1.0)] == ["c", "d"]
    assert longest_chain([], lambda j: 1.0) == []


GRAPHS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0.0, 100.0), min_size=n, max_size=n),
        st.sets(st.sampled_from(sorted(itertools.combinations(range(n), 2))))
        if n > 1
        else st.just(set()),
    )
)


@given(GRAPHS)
def test_the_chain_of_any_graph_takes_as_long_as_its_longest_path(graph):
    times, edges = graph
    jobs = [job(str(n), *(str(a) for a, b in edges if b == n)) for n in range(len(times))]
    chain = longest_chain(jobs, lambda j: times[int(j.name)])
    assert all(a.name in b.waits_for for a, b in itertools.pairwise(chain))
    drawn = networkx.DiGraph()
    drawn.add_nodes_from(range(len(times)))
    drawn.add_edges_from(edges)
    # Every simple path, by brute force.
    paths = [[n] for n in drawn]
    for a, b in itertools.permutations(drawn, 2):
        paths += networkx.all_simple_paths(drawn, a, b)
    longest = max(sum(times[n] for n in path) for path in paths)
    assert sum(times[int(j.name)] for j in chain) == pytest.approx(longest)


def test_the_chain_of_a_benchmark_goes_through_its_longest_jobs():
    seconds = {"train_full": 50.0, "generate": 5.0, "train_block": 30.0, "features": 7.0}
    # Data, subsets and all the rest take no time: through the full model to its features.
    chain = longest_chain(jobs_of(), lambda j: seconds.get(j.rule, 0.0))
    rules = [j.rule for j in chain if j.rule in seconds]
    assert rules == ["train_full", "generate", "features"]
    seconds["losses"] = 40.0
    chain = longest_chain(jobs_of(), lambda j: seconds.get(j.rule, 0.0))
    assert [j.rule for j in chain if j.rule in seconds] == ["train_full", "generate", "losses"]


def test_the_longest_chain_goes_through_retraining_without_a_query_s_images():
    rules = [j.rule for j in longest_chain(jobs_of(name=EVERY), lambda j: 1.0)]
    # A lambda is selected on losses of trained blocks on generated images: both ways to them
    # are equally long, through the full model and through the subsets.
    wanted = ["scores", "removals", "remaining", "train_block", "redraw"]
    assert rules[rules.index("scores") :][: len(wanted)] == wanted
