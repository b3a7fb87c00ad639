"""What one method costs by itself, from the provenance of its predictions, or of its scores.

Counted are the jobs that these descend from, without those that every benchmark has
anyway: data, the full model, generated queries, subsets. A job that several methods share counts
for each of them whole, so the figures are what a method would cost alone. Of a retraining method
that learns from the first of the retrained models, only the blocks that hold those count.
"""

import math
from collections.abc import Iterable
from typing import Any

from diffattr.benchmark import Benchmark
from diffattr.report.cost import Records, ancestors, job_of


def method_costs(benchmark: Benchmark, records: Records) -> dict[str, dict[str, Any]]:
    """Return seconds and jobs of every method (the dearest split), by its name.

    A method whose artifacts are not there has None, and so has one whose scores were computed
    elsewhere.
    """
    paths = benchmark.paths
    images = [paths.images(split) for split in ("train", *benchmark.query_splits)]
    given = [
        *images,
        *benchmark.network_files.values(),
        *(
            paths.subsets(group, block)
            for group in ("lds", "retrain")
            for block in benchmark.blocks(group)
        ),
    ]
    jobs = {path: job_of(record) for path, record in records.items()}
    wildcards_of = {jobs[path]: record["wildcards"] for path, record in records.items()}
    seconds = {jobs[path]: record["seconds"] for path, record in records.items()}

    def jobs_behind(roots: Iterable[str]) -> set[str]:
        return {jobs[path] for path in ancestors(records, roots)}

    def of_further_models(job: str, n_retrained: int) -> bool:
        wildcards = wildcards_of[job]
        block = wildcards.get("block")
        return (
            wildcards.get("group") == "retrain"
            and block is not None
            and int(block) * benchmark.config.jobs.models_per_block >= n_retrained
        )

    shared = jobs_behind(given)
    costs: dict[str, dict[str, Any]] = {}
    for name, method in benchmark.methods.items():
        # Where nothing is measured, nothing is predicted.
        ends = [paths.predictions(name, split) for split in benchmark.lds_splits_of(name)]
        ends = ends or [paths.scores(name, split) for split in benchmark.splits_of(name)]
        per_split = []
        for path in ends:
            if path in records and not method.files:
                own = jobs_behind([path]) - shared
                if (n := method.n_retrained) is not None:
                    own = {job for job in own if not of_further_models(job, n)}
                total = round(math.fsum(seconds[job] for job in own), 3)
                per_split.append({"seconds": total, "jobs": len(own)})
        costs[name] = max(
            per_split, key=lambda cost: cost["seconds"], default={"seconds": None, "jobs": 0}
        )
    return costs
