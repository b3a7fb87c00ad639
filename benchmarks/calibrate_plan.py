"""Prints the calibration table of the plan from a finished default benchmark."""

from functools import partial
from pathlib import Path

import yaml
from common import arguments, show

from diffattr.artifacts import read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.config import extended
from diffattr.plan.calibration import calibration_of, unit_costs
from diffattr.plan.dag import read_jobs
from diffattr.plan.network import network_size
from diffattr.plan.work import work_of

options = arguments(__doc__)
source = Path("configs/smoke.yaml" if options.tiny else "config.yaml")
raw = extended(yaml.safe_load(source.read_text()), [source])
benchmark = Benchmark(read_config(raw, read_json("schemas/config.schema.json"), str(source)))
size = network_size(benchmark)
jobs = read_jobs("Snakefile", source, partial(work_of, benchmark, size))
costs = unit_costs(jobs, size)
show(
    f"Unit costs of {benchmark.name}",
    ["rule", "s per job", "s per GFLOP", "jobs measured", "table: s per job", "table: s per GFLOP"],
    [
        [rule, cost.per_job, cost.per_gflop, cost.n_measured, table.per_job, table.per_gflop]
        for rule, cost in costs.items()
        for table in [calibration_of(rule)]
    ],
)
