"""What artifacts and methods cost, and who made them, from the provenance beside them.

Only jobs that the report descends from count: what an older config left in the folder does not.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from diffattr.artifacts import PROVENANCE_SUFFIX, Result, read_provenance
from diffattr.benchmark import Benchmark

Records = Mapping[str, Mapping[str, Any]]
"""The provenance of every artifact, by its path."""


class Cost(Result, frozen=True):
    """What some jobs cost.

    Attributes:
        jobs: how many.
        artifacts: files and folders that they wrote.
        seconds: wall-clock time, summed over jobs.
        longest_s: wall-clock time of the longest job.
        peak_memory_mb: largest resident memory of a job, in MiB.
        bytes: size of the artifacts.
    """

    jobs: int
    artifacts: int
    seconds: float
    longest_s: float
    peak_memory_mb: int
    bytes: int


class StageCost(Cost, frozen=True):
    """What the jobs of one stage cost.

    Attributes:
        stage: the rule; those that the workflow generates for one stage are counted together.
    """

    stage: str


class Costs(Result, frozen=True):
    """What the artifacts cost from which the report descends.

    Attributes:
        stages: in the order of the data.
        total: over all stages.
    """

    stages: Sequence[StageCost]
    total: Cost


class MethodCost(Result, frozen=True):
    """What one method would cost by itself, next to data, full model and subsets.

    Attributes:
        seconds: wall-clock time of its jobs, summed; null where that is unknown.
        jobs: how many.
    """

    seconds: float | None
    jobs: int


class Tally(Result, frozen=True):
    """How many jobs share a commit, a machine or a set of versions.

    Attributes:
        value: the commit (null without a git checkout), or properties by name.
        jobs: how many jobs.
    """

    value: str | dict[str, Any] | None
    jobs: int


class Origin(Result, frozen=True):
    """When and by what the artifacts were made, and whether they still fit together.

    Attributes:
        commits: of the code; `+` after a commit means that the checkout was edited.
        hosts: machines, with the device that jobs ran on.
        versions: of packages.
        first_started: when the first job started, ISO 8601; null without a job.
        last_started: when the last job started; null without a job.
        links: recorded inputs of artifacts.
        stale: artifacts of which an input has changed since.
        unknown: inputs of the report without provenance.
    """

    commits: Sequence[Tally]
    hosts: Sequence[Tally]
    versions: Sequence[Tally]
    first_started: str | None
    last_started: str | None
    links: int
    stale: Sequence[str]
    unknown: Sequence[str]


def read_records(root: str | Path) -> dict[str, dict[str, Any]]:
    """Return the provenance of every artifact that exists below `root`."""
    sidecars = sorted(Path(root).rglob(f"*{PROVENANCE_SUFFIX}"))
    paths = [str(sidecar).removesuffix(PROVENANCE_SUFFIX) for sidecar in sidecars]
    return {path: read_provenance(path) for path in paths if Path(path).exists()}


def ancestors(records: Records, roots: Iterable[str]) -> set[str]:
    """Return `roots` and all artifacts that they descend from."""
    found, pending = set(), list(roots)
    while pending:
        path = pending.pop()
        if path in records and path not in found:
            found.add(path)
            pending += records[path]["inputs"]
    return found


def lineage(records: Records, roots: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the records of `roots`, of all they descend from, and of these jobs' other outputs."""
    jobs = {job_of(records[path]) for path in ancestors(records, roots)}
    return {path: record for path, record in records.items() if job_of(record) in jobs}


def job_of(record: Mapping[str, Any]) -> str:
    """Return what tells a job from every other; its outputs share it."""
    return json.dumps([record["rule"], record["started"], record["wildcards"]], sort_keys=True)


def costs(records: Records) -> Costs:
    """Return what the jobs behind these artifacts cost."""

    @cache
    def depth(path: str) -> int:
        parents = [depth(parent) for parent in records[path]["inputs"] if parent in records]
        return 1 + max(parents, default=0)

    stages: dict[str, list[str]] = {}
    for path, record in records.items():
        stages.setdefault(record["rule"], []).append(path)

    def order(stage: str) -> tuple[int, str]:
        members = stages[stage]
        return max(map(depth, members)), min(records[path]["started"] for path in members)

    return Costs(
        stages=[
            StageCost(stage=stage, **_cost([records[path] for path in stages[stage]]))
            for stage in sorted(stages, key=order)
        ],
        total=Cost(**_cost(list(records.values()))),
    )


def _cost(records: list[Mapping[str, Any]]) -> dict[str, Any]:
    jobs = {job_of(record): record for record in records}
    seconds = [record["seconds"] for record in jobs.values()]
    return {
        "jobs": len(jobs),
        "artifacts": len(records),
        "seconds": round(sum(seconds), 3),
        "longest_s": max(seconds, default=0.0),
        "peak_memory_mb": max((record["peak_memory_mb"] for record in jobs.values()), default=0),
        "bytes": sum(record["checksum"]["bytes"] for record in records),
    }


def method_costs(benchmark: Benchmark, records: Records) -> dict[str, MethodCost]:
    """Return the cost of every method on its most expensive split, by name.

    It counts the jobs that its predictions (or scores) descend from, without those that every
    benchmark needs: data, the full model, generated queries, subsets. A job that several methods
    share counts fully for each of them, so the result is what the method alone would cost. For a
    retraining method that learns from the first few retrained models, only their blocks count.

    It is unknown for a method whose artifacts do not exist or whose scores were computed elsewhere.
    """
    paths, splits = benchmark.paths, benchmark.splits
    groups = ("lds", "retrain") if splits.lds else ()
    given = [
        *(paths.samples(split) for split in ("train", *splits.queries)),
        *benchmark.models.network_files.values(),
        *(path for group in groups for path in benchmark.inputs.subsets(group)),
    ]
    jobs = {path: job_of(record) for path, record in records.items()}
    record_of = {jobs[path]: record for path, record in records.items()}

    def jobs_behind(roots: Iterable[str]) -> set[str]:
        return {jobs[path] for path in ancestors(records, roots)}

    def first_retrained(job: str) -> int:
        wildcards = record_of[job]["wildcards"]
        block = wildcards.get("block", 0) if wildcards.get("group") == "retrain" else 0
        return int(block) * benchmark.config.jobs.models_per_block

    shared = jobs_behind(given)
    found: dict[str, MethodCost] = {}
    for name, method in benchmark.methods.items():
        # Where nothing is measured, nothing is predicted.
        ends = [paths.predictions(name, split) for split in splits.lds_of(name)]
        ends = ends or [paths.scores(name, split) for split in splits.of(name)]
        per_split = []
        for path in ends:
            if path in records and method.needs != "computed elsewhere":
                n_retrained = math.inf if method.n_retrained is None else method.n_retrained
                behind = jobs_behind([path]) - shared
                needed = [job for job in behind if first_retrained(job) < n_retrained]
                seconds = round(math.fsum(record_of[job]["seconds"] for job in needed), 3)
                per_split.append(MethodCost(seconds=seconds, jobs=len(needed)))
        unknown = MethodCost(seconds=None, jobs=0)
        found[name] = max(per_split, key=lambda cost: cost.seconds or 0, default=unknown)
    return found


def origin(records: Records, roots: Iterable[str]) -> Origin:
    """Return when and by what the artifacts were made; `roots` are the report's inputs."""
    jobs = {job_of(record): record for record in records.values()}.values()
    links = [
        (path, records[parent]["checksum"]["sha256"], digest)
        for path, record in records.items()
        for parent, digest in record["inputs"].items()
        if parent in records
    ]
    started = [record["started"] for record in jobs]
    return Origin(
        commits=_tally(record["commit"] for record in jobs),
        hosts=_tally({**record["host"], "device": record["device"]} for record in jobs),
        versions=_tally(record["versions"] for record in jobs),
        first_started=min(started, default=None),
        last_started=max(started, default=None),
        links=len(links),
        stale=sorted({path for path, now, recorded in links if now != recorded}),
        unknown=sorted(set(roots) - set(records)),
    )


def _tally(values: Iterable[Any]) -> list[Tally]:
    """Return the distinct values with the number of jobs of each, the most frequent first."""
    counted = Counter(json.dumps(value, sort_keys=True) for value in values)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Tally(value=json.loads(text), jobs=jobs) for text, jobs in ranked]
