"""Rule plan: what the benchmark costs, and what is left of that. Prints and writes plan.md."""

import json
import subprocess
import sys
import tempfile

import msgspec

from diffattr.artifacts import write_text
from diffattr.benchmark import Benchmark
from diffattr.config import Config
from diffattr.plan import network_size, pending_outputs, plan_text

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
text = plan_text(
    benchmark, pending_outputs(summary), network_size(benchmark), snakemake.params.cores
)
write_text(benchmark.paths("plan.md"), text)
print(f"\n{text}")  # noqa: T201
