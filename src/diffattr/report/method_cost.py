"""What one method costs by itself, from the provenance of its predictions.

Counted are the jobs that its predictions descend from, without those that every benchmark has
anyway: data, the full model, generated queries, subsets. A job that several methods share counts
for each of them whole, so the figures are what a method would cost alone.
"""

from collections.abc import Mapping
from typing import Any

from diffattr.benchmark import Benchmark
from diffattr.report.cost import Records, jobs_of, lineage


def method_costs(benchmark: Benchmark, records: Records) -> dict[str, dict[str, Any]]:
    """Return seconds and jobs of every method (the dearest split), by its name.

    A method whose artifacts are not there has None.
    """
    paths = benchmark.paths
    images = [paths.images(split) for split in ("train", *benchmark.query_splits)]
    given = [
        *images,
        *benchmark.network_files.values(),
        *(paths.subset("lds", index) for index in range(benchmark.group("lds").count)),
    ]
    shared = set(jobs_of(lineage(records, given)))
    costs: dict[str, dict[str, Any]] = {}
    for name in benchmark.methods:
        per_split = []
        for split in benchmark.lds_splits_of(name):
            path = paths.predictions(name, split)
            if path in records:
                own = jobs_of(lineage(records, [path]))
                per_split.append([own[job] for job in own if job not in shared])
        costs[name] = max(map(_sum, per_split), key=_seconds, default={"seconds": None, "jobs": 0})
    return costs


def _sum(jobs: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {"seconds": round(sum(job["seconds"] for job in jobs), 3), "jobs": len(jobs)}


def _seconds(cost: Mapping[str, Any]) -> float:
    return cost["seconds"]
