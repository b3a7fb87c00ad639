"""What the artifacts cost and who made them, from the provenance beside them.

Only jobs that the report descends from count: what an older config left in the folder does not.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from diffattr.artifacts import PROVENANCE_SUFFIX, read_provenance

Records = Mapping[str, Mapping[str, Any]]
"""The provenance of every artifact, by its path."""


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


def costs(records: Records) -> dict[str, Any]:
    """Return jobs, seconds, memory and bytes per stage, in the order of the data, and the total."""

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

    return {
        "stages": [
            {"stage": stage, **_cost([records[path] for path in stages[stage]])}
            for stage in sorted(stages, key=order)
        ],
        "total": _cost(list(records.values())),
    }


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


def origin(records: Records, roots: Iterable[str]) -> dict[str, Any]:
    """Return when and by what the artifacts were made, and whether they still fit together.

    `stale` names artifacts of which an input has changed since; `unknown` the roots without
    provenance.
    """
    jobs = {job_of(record): record for record in records.values()}.values()
    links = [
        (path, parent, digest)
        for path, record in records.items()
        for parent, digest in record["inputs"].items()
        if parent in records
    ]
    started = sorted(record["started"] for record in jobs)
    return {
        "commits": _tally(record["commit"] for record in jobs),
        "hosts": _tally({**record["host"], "device": record["device"]} for record in jobs),
        "versions": _tally(record["versions"] for record in jobs),
        "first_started": started[0] if started else None,
        "last_started": started[-1] if started else None,
        "links": len(links),
        "stale": sorted(
            {path for path, parent, digest in links if _digest(records[parent]) != digest}
        ),
        "unknown": sorted(set(roots) - set(records)),
    }


def _digest(record: Mapping[str, Any]) -> str:
    return record["checksum"]["sha256"]


def _tally(values: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the distinct values with the number of jobs of each, the most frequent first."""
    counted = Counter(json.dumps(value, sort_keys=True) for value in values)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": json.loads(text), "jobs": jobs} for text, jobs in ranked]
