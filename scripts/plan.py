"""Rule plan: the cost of the benchmark and of what is left to do. Prints and writes plan.md."""

import tempfile
from pathlib import Path

import msgspec

from diffattr.artifacts import write_text
from diffattr.benchmark import Benchmark
from diffattr.cluster.requests import Requests, group_sizes, n_cluster_jobs
from diffattr.cluster.site import Site
from diffattr.config import Config, ConfigError
from diffattr.plan.dag import read_jobs
from diffattr.plan.network import kept_size
from diffattr.plan.text import Plan

params = snakemake.params
benchmark = Benchmark(msgspec.json.decode(params.config, type=Config))
try:
    requests = Requests(benchmark, kept_size(benchmark), Site())
except ConfigError as error:
    raise SystemExit(str(error)) from error
with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
    file.write(params.config)
    file.flush()
    jobs = read_jobs(params.snakefile, file.name, requests.work, params.rerun_triggers)
sizes = group_sizes(Path(params.snakefile).parent / "profiles" / "slurm" / "config.yaml")
plan = Plan(
    benchmark,
    jobs,
    requests.size,
    lambda some: n_cluster_jobs(some, lambda job: requests.group(job.rule, job.wildcards), sizes),
    params.cores,
    params.gpus,
)
text = plan.text()
write_text(benchmark.paths("plan.md"), text)
print(f"\n{text}")  # noqa: T201
