"""The longest path through a graph of jobs: the time that more machines cannot reduce."""

from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from typing import TypeVar

from diffattr.plan.dag import Job

J = TypeVar("J", bound=Job)


def longest_chain(jobs: Iterable[J], seconds: Callable[[J], float]) -> list[J]:
    """Return the chain of jobs, each waiting for the one before, with the longest total time.

    Dependencies outside `jobs` count as done.
    """
    by_name = {job.name: job for job in jobs}
    waits_for = {name: sorted(job.waits_for & by_name.keys()) for name, job in by_name.items()}
    until: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name in TopologicalSorter(waits_for).static_order():
        before[name] = max(waits_for[name], key=until.__getitem__, default=None)
        until[name] = seconds(by_name[name]) + until.get(before[name] or "", 0.0)
    chain, last = [], max(until, key=until.__getitem__, default=None)
    while last is not None:
        chain.append(by_name[last])
        last = before[last]
    return chain[::-1]
