"""The jobs that are submitted together, as one cluster job."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from diffattr.plan.dag import PlannedJob
from diffattr.plan.work import Work

MINIMUM_S = 300
"""Shorter jobs (estimated) are submitted in groups, if their rule has one."""


def group_of(work: Work, seconds: float) -> tuple[str, str] | None:
    """Return a job's group in the profile and its part; None if it is submitted alone."""
    group = work.group
    if group is None or not (group.always or seconds < MINIMUM_S):
        return None
    return group.name, f"{group.name}-{group.part}".replace("/", "-")


def group_sizes(profile: str | Path) -> dict[str, int]:
    """Return the number of jobs, or chains of jobs, that a profile submits together, by group."""
    groups = yaml.safe_load(Path(profile).read_text(encoding="utf-8"))["group-components"]
    return {name: int(size) for name, size in (group.split("=") for group in groups)}


def n_cluster_jobs(
    jobs: Sequence[PlannedJob],
    group: Callable[[PlannedJob], tuple[str, str] | None],
    sizes: Mapping[str, int],
) -> int:
    """Return the number of cluster jobs after grouping.

    Snakemake keeps jobs of a part that wait for each other together, as one chain, and submits
    `sizes` such chains at once, or one chain if the group is not in `sizes`.
    """
    parts = {job.name: group(job) for job in jobs}
    alone = sum(part is None for part in parts.values())
    joined = {name: name for name, part in parts.items() if part is not None}

    def first(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for job in jobs:
        for earlier in job.waits_for & joined.keys():
            if parts[earlier] == parts[job.name]:
                joined[first(earlier)] = first(job.name)
    n_chains = Counter(parts[name] for name in joined if first(name) == name)
    return alone + sum(
        math.ceil(n / sizes.get(part[0], 1)) for part, n in n_chains.items() if part is not None
    )
