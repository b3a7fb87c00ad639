"""The memory, time and group that a job requests."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from diffattr.benchmark import Benchmark
from diffattr.cluster.groups import group_of
from diffattr.cluster.site import Site
from diffattr.plan.calibration import ACCELERATORS, cluster_seconds
from diffattr.plan.network import FLOAT32, NetworkSize
from diffattr.plan.work import Work, kind_of, work_of

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
        return work_of(rule, self.benchmark, self.size, wildcards)

    def seconds(self, rule: str, work: Work) -> float:
        """Return the estimated time of a job, on the slowest GPU if it requests one."""
        gpus = ACCELERATORS.values()
        return max(cluster_seconds(rule, work, self.benchmark, self.size, gpu) for gpu in gpus)

    def group(self, rule: str, wildcards: Mapping[str, str]) -> tuple[str, str] | None:
        """Return a job's group in the profile and its part; None if it is submitted alone."""
        work = self.work(rule, wildcards)
        return group_of(work, self.seconds(rule, work))

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
        work = self.work(rule, wildcards)
        seconds = self.seconds(rule, work)
        more = _ALONE_MIN if group_of(work, seconds) is None else _TOGETHER_MIN
        minutes = (more + math.ceil(2 * seconds / 60)) * 2 ** (attempt - 1)
        return min(minutes, self.site.place(kind_of(rule)).max_minutes or minutes)
