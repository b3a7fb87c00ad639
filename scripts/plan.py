"""Rule plan: the cost of the benchmark and of what is left to do. Prints and writes plan.md."""

import json
import tempfile
from pathlib import Path

import msgspec

from diffattr.artifacts import write_text
from diffattr.benchmark import Benchmark
from diffattr.cluster.groups import group_sizes, n_cluster_jobs
from diffattr.cluster.requests import Requests
from diffattr.cluster.site import Site
from diffattr.config import Config, ConfigError
from diffattr.plan.dag import planned, read_jobs
from diffattr.plan.network import kept_size
from diffattr.plan.text import Machines, plan_text

params = snakemake.params
benchmark = Benchmark(msgspec.convert(json.loads(params.config), Config))
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    file.write(params.config)
    file.flush()
    jobs = read_jobs(params.snakefile, file.name, params.rerun_triggers)
try:
    size = kept_size(benchmark)
except ConfigError as error:
    raise SystemExit(str(error)) from error
requests = Requests(benchmark, size, Site())
sizes = group_sizes(Path(params.snakefile).parent / "profiles" / "slurm" / "config.yaml")
text = plan_text(
    benchmark,
    planned(benchmark, size, jobs),
    size,
    Machines(params.cores, params.gpus),
    lambda some: n_cluster_jobs(some, lambda job: requests.group(job.rule, job.wildcards), sizes),
)
write_text(benchmark.paths("plan.md"), text)
print(f"\n{text}")  # noqa: T201
