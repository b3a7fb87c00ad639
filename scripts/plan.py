"""Rule plan: what the benchmark costs, and what is left of that. Prints and writes plan.md."""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec
import yaml

from diffattr.artifacts import write_text
from diffattr.benchmark import Benchmark
from diffattr.cluster import Requests, Site, kept_size
from diffattr.config import Config, ConfigError
from diffattr.plan import Machines, pending_outputs, plan_text

benchmark = Benchmark(msgspec.convert(json.loads(snakemake.params.config), Config))
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    file.write(snakemake.params.config)
    file.flush()
    summary = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "all", "--summary"),
            *("--snakefile", snakemake.params.snakefile, "--configfile", file.name),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
profile = Path(snakemake.params.snakefile).parent / "profiles" / "slurm" / "config.yaml"
groups = yaml.safe_load(profile.read_text(encoding="utf-8"))["group-components"]
components = {name: int(n) for name, n in (group.split("=") for group in groups)}
try:
    size = kept_size(benchmark)
except ConfigError as error:
    raise SystemExit(str(error)) from error
text = plan_text(
    benchmark,
    pending_outputs(summary),
    size,
    Machines(snakemake.params.cores, snakemake.params.gpus),
    partial(Requests(benchmark, size, Site()).n_cluster_jobs, components=components),
)
write_text(benchmark.paths("plan.md"), text)
print(f"\n{text}")  # noqa: T201
