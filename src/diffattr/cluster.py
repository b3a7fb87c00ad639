"""What jobs ask of a cluster: where to run, how much memory, how long, and which go out together.

All of it follows from the plan's estimates and from `site.yaml`, which has what is a cluster's own.
Like `diffattr.benchmark` this loads no torch, since Snakemake asks for it at every start.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from diffattr.artifacts import ArtifactError, read_json, write_json
from diffattr.benchmark import Benchmark
from diffattr.config import ConfigError, Positive, Section, converted
from diffattr.plan import (
    ACCELERATORS,
    CALIBRATION,
    NetworkSize,
    PlannedJob,
    cluster_seconds,
    jobs,
    network_size,
)

Kind = Literal["network", "matrix", "other"]
"""Kinds of job: through the network (training, gradients), large matrices, all else."""

# --- which jobs go out together ---------------------------------------------------------------

MINIMUM_S = 300
"""Jobs of rules with many jobs that are estimated to be shorter do not go out alone."""

# Group by stage. Chains that hang together are grouped whatever their length, for Snakemake refuses
# a group that depends on itself through a job outside. For the same reason stages without a query's
# images, which wait for scores, are never in a group with what scores wait for.
_CHAINS = {
    **dict.fromkeys(("predictions", "select_lambda", "lds_of_method", "scores"), "attribution"),
    **dict.fromkeys(("predictions_direct", "scores_direct"), "attribution"),
    **dict.fromkeys(("maps", "audit_powers"), "attribution"),
}
_IF_SHORT = {
    "subsets": "subsets",
    "subsets_removed": "subsets_removed",
    "train_block": "training",
    "train_block_removed": "training_removed",
    "redraw": "redrawing",
    "losses": "losses",
    "measurements": "measurements",
    "features": "features",
    "features_retrained": "features",
    "kernel": "kernels",
}
# Where a chain starts; its other jobs are in the cluster job of these.
_STARTS = {"predictions", "scores_direct"}

# --- what a job asks for ----------------------------------------------------------------------

_MATRIX = {"measurements", "kernel", *(stage.removesuffix("_direct") for stage in _CHAINS)}
# Memory before a job holds any data: interpreter and libraries; with torch; with CUDA as well.
_LIGHT_MB, _TORCH_MB, _CUDA_MB = 400, 1000, 5000
_LIGHT = _MATRIX | {"subsets", "removals"}
# Minutes on top of twice the estimate, for slow file systems: of a job alone, and in a group.
_ALONE_MIN, _TOGETHER_MIN = 10, 2


class Place(Section, frozen=True):
    """Where a kind of job runs."""

    partition: str | None = None
    constraint: str | None = None
    qos: str | None = None
    max_minutes: Positive | None = None
    sbatch: str | None = None


class Site(Section, frozen=True):
    """What is a cluster's own; `profiles/slurm/site.yaml` explains it."""

    account: str | None = None
    network: Place = Place()
    matrix: Place = Place()
    other: Place = Place()
    # Part of a shell's command line, so nothing in it may mean anything to a shell.
    modules: tuple[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/@-]*(?![\s\S])")], ...
    ] = ()
    container: str | None = None


def read_site(path: str | Path) -> Site:
    """Return what a site's file says; without one, nothing.

    Raises:
        ConfigError: with one line per error.
    """
    if not Path(path).exists():
        return Site()
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return converted({} if raw is None else raw, Site, msgspec.json.schema(Site), str(path))


def kind_of(rule: str) -> Kind:
    """Return a rule's kind of job."""
    if CALIBRATION[rule].per_gflop:
        return "network"
    return "matrix" if rule in _MATRIX else "other"


def place_of(rule: str, n_gpus: int, site: Site) -> dict[str, Any]:
    """Return what a rule asks for whatever the job: GPUs, and where its kind of job runs."""
    place: Place = getattr(site, kind_of(rule))
    asked = {
        "gpu": n_gpus if kind_of(rule) == "network" else None,
        "slurm_account": site.account,
        "slurm_partition": place.partition,
        "constraint": place.constraint,
        "qos": place.qos,
        "slurm_extra": place.sbatch,
    }
    return {name: value for name, value in asked.items() if value is not None}


@dataclass(frozen=True)
class Requests:
    """What the jobs of a benchmark ask of a cluster. Jobs are found by their rule and an output."""

    benchmark: Benchmark
    size: NetworkSize
    site: Site

    @cached_property
    def _planned(self) -> dict[str, PlannedJob]:
        planned = jobs(self.benchmark, self.size)
        return {output: job for job in planned for output in job.outputs}

    def job(self, rule: str, output: str) -> PlannedJob:
        """Return the job that makes an output.

        One that the benchmark does not need, asked for by name, is taken for the largest of its
        rule.
        """
        if output in self._planned:
            return self._planned[output]
        like = (job for job in self._planned.values() if job.rule == rule)
        return max(like, key=self.seconds, default=PlannedJob(rule, (output,)))

    def seconds(self, job: PlannedJob) -> float:
        """Return the estimated time of a job, on the slowest card where it asks for one."""
        cards = ACCELERATORS.values()
        return max(cluster_seconds(job, self.benchmark, self.size, card) for card in cards)

    def group(self, job: PlannedJob) -> str | None:
        """Return the group that a job goes out with, as the profile names it, if any."""
        if job.stage in _CHAINS:
            return _CHAINS[job.stage]
        return _IF_SHORT.get(job.stage) if self.seconds(job) < MINIMUM_S else None

    @staticmethod
    def part(group: str, job: PlannedJob) -> str:
        """Return the part of a group that a job is in: of jobs that wait for the same.

        A cluster job waits for the inputs of all its members, and fails with any of them.
        """
        return f"{group}-{job.of}".replace("/", "-")

    def memory_mb(self, job: PlannedJob, attempt: int) -> int:
        """Return the memory to ask for: twice as much at the second attempt, then four times.

        No more after that, since many attempts are a training that has run out of time.
        """
        uses_gpu = kind_of(job.rule) == "network" and self.benchmark.config.jobs.gpus
        libraries = _CUDA_MB if uses_gpu else _LIGHT_MB if job.rule in _LIGHT else _TORCH_MB
        frozen = 4 * self.size.n_frozen if kind_of(job.rule) == "network" else 0
        return (libraries + math.ceil((job.n_held + frozen) / 1e6)) * 2 ** min(attempt - 1, 2)

    def minutes(self, job: PlannedJob, attempt: int) -> int:
        """Return the time to ask for, twice as much at each attempt up to the site's limit.

        A training job that runs into the limit goes on from its saved state at the next attempt.
        """
        more = _TOGETHER_MIN if self.group(job) else _ALONE_MIN
        asked = (more + math.ceil(2 * self.seconds(job) / 60)) * 2 ** (attempt - 1)
        return min(asked, getattr(self.site, kind_of(job.rule)).max_minutes or asked)

    def n_cluster_jobs(self, planned: Sequence[PlannedJob], components: Mapping[str, int]) -> int:
        """Return as how many cluster jobs some jobs go out.

        Args:
            planned: the jobs.
            components: how many jobs, or chains of jobs, of a group go out together.
        """
        groups = [(self.group(job), job) for job in planned]
        parts = [((group, self.part(group, job)), job) for group, job in groups if group]
        starts = Counter(
            part for part, job in parts if job.stage not in _CHAINS or job.stage in _STARTS
        )
        # Of chains that have begun, the rest goes out as well.
        together = {part: max(1, starts[part]) for part, _ in parts}
        return (
            len(groups)
            - len(parts)
            + sum(math.ceil(n / components.get(group, 1)) for (group, _), n in together.items())
        )


# --- the network's size, without torch --------------------------------------------------------


def size_path(benchmark: Benchmark) -> str:
    """Return the file in which the size of a benchmark's network is kept."""
    return benchmark.paths("network.json")


def _size_key(benchmark: Benchmark) -> str:
    config = benchmark.config
    used = {"model": msgspec.to_builtins(config.model), "resolution": config.data.resolution}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def known_size(benchmark: Benchmark) -> NetworkSize | None:
    """Return the size of the benchmark's network if it was kept, None if not, or if damaged."""
    with suppress(ArtifactError, OSError, KeyError, TypeError):
        kept = read_json(size_path(benchmark))
        if kept.pop("key") == _size_key(benchmark):
            return NetworkSize(**kept)
    return None


def kept_size(benchmark: Benchmark) -> NetworkSize:
    """Return the size of the benchmark's network, which is built only if it has changed."""
    size = known_size(benchmark)
    if size is None:
        size = network_size(benchmark)
        write_json(size_path(benchmark), {"key": _size_key(benchmark), **asdict(size)})
    return size
