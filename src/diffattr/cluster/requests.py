"""The memory, time and group that a job requests."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from diffattr.benchmark import Benchmark
from diffattr.cluster.site import Site
from diffattr.plan.calibration import ACCELERATORS, cluster_seconds
from diffattr.plan.dag import Job
from diffattr.plan.network import FLOAT32, NetworkSize
from diffattr.plan.work import Work, kind_of, work_of

MINIMUM_S = 300
"""Shorter jobs (estimated) are submitted in groups, if their rule has one."""
# Memory before a job holds any data: interpreter and libraries; with torch; with CUDA as well.
_LIGHT_MB, _TORCH_MB, _CUDA_MB = 400, 1000, 5000
_LIBRARIES_MB = {"network": _TORCH_MB, "matrix": _LIGHT_MB, "light": _LIGHT_MB, "other": _TORCH_MB}
# Minutes on top of twice the estimate, for slow file systems: of a job alone, and in a group.
_ALONE_MIN, _TOGETHER_MIN = 10, 2


@dataclass(frozen=True)
class Requests:
    """What the jobs of a benchmark request from a cluster, by rule and wildcards."""

    benchmark: Benchmark
    size: NetworkSize
    site: Site

    def work(self, rule: str, wildcards: Mapping[str, str]) -> Work:
        """Return the work of a job."""
        return work_of(self.benchmark, self.size, rule, wildcards)

    def seconds(self, rule: str, work: Work) -> float:
        """Return the estimated time of a job, on the slowest GPU if it requests one."""
        gpus = ACCELERATORS.values()
        return max(cluster_seconds(rule, work, self.benchmark, self.size, gpu) for gpu in gpus)

    def group(self, rule: str, wildcards: Mapping[str, str]) -> tuple[str, str] | None:
        """Return a job's group in the profile and its part; None if it is submitted alone."""
        work = self.work(rule, wildcards)
        group = work.group
        if group is None or not (group.always or self.seconds(rule, work) < MINIMUM_S):
            return None
        return group.name, f"{group.name}-{group.part}".replace("/", "-")

    def memory_mb(self, rule: str, wildcards: Mapping[str, str], attempt: int) -> int:
        """Return the memory to request: twice as much at the second attempt, then four times.

        It stays there, since further attempts mean a training that ran out of time.
        """
        libraries, n_held = _LIBRARIES_MB[kind_of(rule)], self.work(rule, wildcards).n_held
        if kind_of(rule) == "network":
            libraries = _CUDA_MB if self.benchmark.config.jobs.gpus else libraries
            n_held += FLOAT32 * self.size.n_frozen
        return (libraries + math.ceil(n_held / 1e6)) * 2 ** min(attempt - 1, 2)

    def minutes(self, rule: str, wildcards: Mapping[str, str], attempt: int) -> int:
        """Return the time to request, doubled at each attempt up to the site's limit.

        A training job that reaches the limit resumes from its saved state at the next attempt.
        """
        seconds = self.seconds(rule, self.work(rule, wildcards))
        more = _ALONE_MIN if self.group(rule, wildcards) is None else _TOGETHER_MIN
        minutes = (more + math.ceil(2 * seconds / 60)) * 2 ** (attempt - 1)
        return min(minutes, self.site.place(kind_of(rule)).max_minutes or minutes)


def group_sizes(profile: str | Path) -> dict[str, int]:
    """Return the number of jobs, or chains of jobs, that a profile submits together, by group."""
    groups = yaml.safe_load(Path(profile).read_text(encoding="utf-8"))["group-components"]
    return {name: int(size) for name, size in (group.split("=") for group in groups)}


def n_cluster_jobs(
    jobs: Sequence[Job],
    group: Callable[[Job], tuple[str, str] | None],
    sizes: Mapping[str, int],
) -> int:
    """Return the number of cluster jobs after grouping.

    Snakemake keeps jobs of a part that wait for each other together, as one chain, and submits
    `sizes` such chains at once, or one chain if the group is not in `sizes`.
    """
    from scipy.cluster.hierarchy import DisjointSet

    parts = {job.name: group(job) or ("alone", job.name) for job in jobs}
    chains = DisjointSet(parts)
    for job in jobs:
        for earlier in job.waits_for & parts.keys():
            if parts[earlier] == parts[job.name]:
                chains.merge(earlier, job.name)
    n_chains = Counter(parts[chain.pop()] for chain in chains.subsets())
    return sum(math.ceil(n / sizes.get(name, 1)) for (name, _), n in n_chains.items())
