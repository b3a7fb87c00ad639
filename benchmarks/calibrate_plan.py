"""Prints the calibration table of `diffattr.plan` from a finished default benchmark."""

from pathlib import Path

import yaml
from common import arguments, show

from diffattr.benchmark import Benchmark
from diffattr.config import load_schema, parse
from diffattr.plan import CALIBRATION, jobs, network_size, unit_costs

options = arguments(__doc__)
source = Path("configs/smoke.yaml" if options.tiny else "config.yaml")
raw = yaml.safe_load(source.read_text())
benchmark = Benchmark(parse(raw, load_schema("schemas/config.schema.json"), str(source)))
size = network_size(benchmark)
costs = unit_costs(jobs(benchmark, size), size)
show(
    f"Unit costs of {benchmark.name}",
    ["rule", "s per job", "s per GFLOP", "jobs measured", "table: s per job", "table: s per GFLOP"],
    [
        [rule, cost.per_job, cost.per_gflop, cost.n_measured, table.per_job, table.per_gflop]
        for (rule, table), cost in zip(CALIBRATION.items(), costs.values(), strict=True)
    ],
)
