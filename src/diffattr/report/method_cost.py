"""The cost of each method by itself, from the provenance of its predictions, or of its scores.

It counts the jobs that these descend from, without those that every benchmark needs: data, the
full model, generated queries, subsets. A job that several methods share counts fully for each of
them, so the result is what the method alone would cost. For a retraining method that learns from
the first few retrained models, only their blocks count.
"""

import math
from collections.abc import Iterable

from diffattr.benchmark import Benchmark
from diffattr.report.cost import MethodCost, Records, ancestors, job_of


def method_costs(benchmark: Benchmark, records: Records) -> dict[str, MethodCost]:
    """Return the cost of every method on its most expensive split, by name.

    It is unknown for a method whose artifacts do not exist or whose scores were computed elsewhere.
    """
    paths = benchmark.paths
    images = [paths.samples(split) for split in ("train", *benchmark.splits.queries)]
    given = [
        *images,
        *benchmark.models.network_files.values(),
        *(
            path
            for group in (("lds", "retrain") if benchmark.splits.lds else ())
            for path in benchmark.inputs.subsets(group)
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
    costs: dict[str, MethodCost] = {}
    for name, method in benchmark.methods.items():
        # Where nothing is measured, nothing is predicted.
        ends = [paths.predictions(name, split) for split in benchmark.splits.lds_of(name)]
        ends = ends or [paths.scores(name, split) for split in benchmark.splits.of(name)]
        per_split = []
        for path in ends:
            if path in records and method.needs != "computed elsewhere":
                needed = jobs_behind([path]) - shared
                if (n := method.n_retrained) is not None:
                    needed = {job for job in needed if not of_further_models(job, n)}
                total = round(math.fsum(seconds[job] for job in needed), 3)
                per_split.append(MethodCost(seconds=total, jobs=len(needed)))
        unknown = MethodCost(seconds=None, jobs=0)
        costs[name] = max(per_split, key=lambda cost: cost.seconds or 0, default=unknown)
    return costs
