"""The jobs of a config, as the plan reads them and as Snakemake prints them, for tests."""

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from changed_config import REPOSITORY, benchmark, raw

from diffattr.plan.dag import Job, read_jobs
from diffattr.plan.network import NetworkSize
from diffattr.plan.work import Work, work_of

SMOKE, EVERY = "configs/smoke.yaml", "configs/every-method.yaml"
SIZE = NetworkSize(n_parameters=1000, forward_flops=2_000_000)

# The network of the D-TRAK paper's CIFAR benchmarks on 5000 images, with 64 x 3 models to measure
# and 512 to learn from. Size: counted in the paper's repository, 12.1 GFLOP a forward pass.
CIFAR = NetworkSize(n_parameters=38_306_691, forward_flops=12_100_000_000)
CIFAR_CHANGES = {
    "data.resolution": 32,
    "data.n_train": 5000,
    "data.n_val": 1000,
    "data.n_planted": 0,
    "model.config": {
        "sample_size": 32,
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": [128, 256, 256, 256],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 2,
        "attention_head_dim": None,
        "norm_num_groups": 32,
        "downsample_padding": 0,
        "resnet_time_scale_shift": "scale_shift",
        "dropout": 0.1,
    },
    "training.epochs": 200,
    "training.batch_size": 128,
    "sampling": {"n_images": 1000, "n_steps": 50},
    "measurement.subsets.lds": {"count": 64, "fraction": 0.5, "seeds": [0, 1, 2]},
    "measurement.subsets.retrain": {"count": 512, "fraction": 0.5, "seeds": [3]},
    "measurement.losses": {"n_timesteps": 1000, "draws": 3},
    "features.t4": {
        "n_timesteps": 100,
        "noise": "common",
        "output_functions": ["loss", "mean-squared-l2-norm"],
        "projector": {"kind": "sjlt", "k": 32768},
    },
    "methods": {
        "random": {"method": "random"},
        "trak-100": {"method": "trak", "features": "t4/loss"},
        "d-trak-100": {"method": "d-trak", "features": "t4/mean-squared-l2-norm"},
        "datamodel": {"method": "datamodel", "models": 512},
    },
    "jobs.models_per_block": 4,
    "jobs.models_per_stack": 1,
    "jobs.images_per_shard": 500,
    "jobs.gpus": 1,
}


@cache
def _read(text: str) -> list[Job]:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return jobs_here(json.loads(text))


WorkOf = Callable[[str, Mapping[str, str]], Work]


def jobs_here(tree: Any, work: WorkOf = lambda rule, wildcards: Work()) -> list[Job]:
    """Return the jobs of a config on what the working directory has."""
    Path("config.json").write_text(json.dumps(tree))
    return read_jobs(REPOSITORY / "Snakefile", "config.json", work)


def jobs_of(
    changes: dict[str, Any] | None = None, name: str = SMOKE, size: NetworkSize = SIZE
) -> list[Job]:
    """Return the jobs of a config with some changes, of which nothing is made yet."""
    jobs = _read(json.dumps(raw(changes, name)))
    work = partial(work_of, benchmark(changes, name), size)
    return [dataclasses.replace(job, work=work(job.rule, job.wildcards)) for job in jobs]


def by_rule(jobs: list[Job]) -> dict[str, list[Job]]:
    found = defaultdict(list)
    for job in jobs:
        found[job.rule].append(job)
    return dict(found)


def counts(jobs: list[Job]) -> dict[str, tuple[int, int, int, int]]:
    """Return jobs, model-steps, forwards and backwards of every rule."""
    return {
        rule: (
            len(own),
            sum(job.work.model_steps for job in own),
            sum(job.work.forwards for job in own),
            sum(job.work.backwards for job in own),
        )
        for rule, own in by_rule(jobs).items()
    }


def trained(jobs: list[Job], group: str) -> set[tuple[int, int]]:
    """Return the (seed, block) pairs of a group that are trained."""
    blocks = [job.wildcards for job in jobs if job.rule == "train_block"]
    return {(int(w["seed"]), int(w["block"])) for w in blocks if w["group"] == group}


def scored(jobs: list[Job], method: str) -> set[str]:
    """Return the splits for which scores of a method are written."""
    return {
        job.wildcards["split"]
        for job in jobs
        if job.rule == "scores" and job.wildcards["method"] == method
    }


class Printed(NamedTuple):
    """A job as `snakemake -n` prints it."""

    rule: str
    wildcards: dict[str, str]
    outputs: frozenset[str]
    inputs: frozenset[str]


def printed_jobs(configfile: Path | str, directory: Path) -> list[Printed]:
    """Return the jobs of a dry run that write something."""
    command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", REPOSITORY / "Snakefile"]
    done = subprocess.run(
        [*command, "--configfile", configfile],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for block in re.split(r"^(?:local)?rule ", done.stdout, flags=re.M)[1:]:
        rule = block.partition(":")[0]
        lines = dict(re.findall(r"^    (input|output|wildcards): (.*)$", block, flags=re.M))
        files = {
            key: frozenset(re.sub(r" \(\w+\)$", "", path) for path in lines[key].split(", "))
            for key in ("output", "input")
            if key in lines
        }
        wildcards = [pair.split("=") for pair in lines.get("wildcards", "").split(", ") if pair]
        if "output" in files:
            inputs = files.get("input", frozenset())
            found.append(Printed(rule, dict(wildcards), files["output"], inputs))
    return found
