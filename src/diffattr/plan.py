"""What a benchmark costs, before it runs.

The work of each job follows from the config: passes through the network, model-steps, bytes. Its
time is that work at a unit cost: measured, where this benchmark already has jobs of the same rule,
else from a table calibrated on the default benchmark. Nothing is run and no array is read.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tabulate import tabulate

from diffattr.artifacts import provenance_path, read_provenance
from diffattr.benchmark import LDS_SPLITS, Benchmark

_FLOAT32, _FLOAT64 = 4, 8


@dataclass(frozen=True)
class Calibration:
    """Seconds of one core: per job and per 1e9 floating-point operations of the network."""

    per_job: float
    per_gflop: float = 0.0


# From `benchmarks/calibrate_plan.py` on the default benchmark: one core of a 2-core x86-64 virtual
# machine (AVX-512), torch 2.13, a network of 0.2 M parameters on 8x8 images. Large networks come
# closer to a core's peak, and a graphics card is hundreds of times faster.
CALIBRATION: dict[str, Calibration] = {
    "data": Calibration(1.0),
    "subsets": Calibration(1.0),
    "train_full": Calibration(3.0, 0.04),
    "train_block": Calibration(3.0, 0.023),
    "generate": Calibration(3.0, 0.02),
    "losses": Calibration(3.0, 0.016),
    "measurements": Calibration(0.2),
    "features": Calibration(3.0, 0.03),
    "check_features": Calibration(3.0, 0.03),
    "kernel": Calibration(0.2),
    "predictions": Calibration(0.2),
    "lds_of_method": Calibration(0.5),
    "scores": Calibration(0.2),
    "build_report": Calibration(3.0),
}


@dataclass(frozen=True)
class NetworkSize:
    """Parameters, and floating-point operations of one image's forward pass."""

    n_parameters: int
    forward_flops: int


@dataclass(frozen=True)
class PlannedJob:
    """One job: what it makes and how much work that is.

    `forwards` and `backwards` count images through the network; a training step of a batch counts
    each image once in both.
    """

    rule: str
    outputs: tuple[str, ...]
    model_steps: int = 0
    forwards: int = 0
    backwards: int = 0
    n_bytes: int = 0

    def gflops(self, size: NetworkSize) -> float:
        """Return the network's work; a backward pass costs two forward passes."""
        return (self.forwards + 2 * self.backwards) * size.forward_flops / 1e9


def network_size(benchmark: Benchmark) -> NetworkSize:
    """Return the size of the benchmark's network, built without memory for its weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from diffattr.diffusion.models import MODEL_FAMILIES, predict

    model, resolution = benchmark.config.model, benchmark.config.data.resolution
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = MODEL_FAMILIES[model.family](model.config)
        channels = model.config.get("in_channels", 3)
        predict(network, torch.empty(1, channels, resolution, resolution), torch.zeros(1))
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    return NetworkSize(n_parameters, counter.get_total_flops())


def jobs(benchmark: Benchmark, size: NetworkSize) -> list[PlannedJob]:
    """Return every job of the whole benchmark, in the order of the data."""
    config, paths = benchmark.config, benchmark.paths
    pixels = config.model.config.get("in_channels", 3) * config.data.resolution**2
    n_train, splits = config.data.n_train, benchmark.query_splits
    real = ("train", "val", "planted")
    kinds = (paths.indices, paths.images, paths.labels)
    planned = [
        PlannedJob(
            "data",
            tuple(kind(split) for split in real for kind in kinds),
            n_bytes=sum(benchmark.n_images(split) for split in real)
            * (pixels * _FLOAT32 + 2 * _FLOAT64),
        )
    ]
    groups = {name: benchmark.blocks(name) for name in ("lds",)}
    for group, blocks in groups.items():
        n_subset = round(benchmark.group(group).fraction * n_train)
        for members in blocks.values():
            planned.append(
                PlannedJob(
                    "subsets",
                    tuple(paths.subset(group, index) for index in members),
                    n_bytes=len(members) * n_subset * _FLOAT64,
                )
            )
    planned.append(
        PlannedJob(
            "train_full",
            (*benchmark.network_files.values(), *benchmark.checkpoint_files),
            model_steps=config.training.n_steps(n_train),
            forwards=config.training.epochs * n_train,
            backwards=config.training.epochs * n_train,
            n_bytes=(1 + len(benchmark.checkpoint_steps)) * size.n_parameters * _FLOAT32,
        )
    )
    for group, blocks in groups.items():
        n_subset = round(benchmark.group(group).fraction * n_train)
        for seed in benchmark.group(group).seeds:
            for number, members in blocks.items():
                images = len(members) * config.training.epochs * n_subset
                planned.append(
                    PlannedJob(
                        "train_block",
                        (paths.block(group, seed, number),),
                        model_steps=len(members) * config.training.n_steps(n_subset),
                        forwards=images,
                        backwards=images,
                        n_bytes=len(members) * size.n_parameters * _FLOAT32,
                    )
                )
    n_gen = config.sampling.n_images
    planned.append(
        PlannedJob(
            "generate",
            (paths.images("gen"), paths.indices("gen"), paths("images", "gen")),
            forwards=n_gen * config.sampling.n_steps,
            n_bytes=n_gen * (pixels * _FLOAT32 + _FLOAT64 + 200),
        )
    )
    for group, blocks in groups.items():
        seeds = benchmark.group(group).seeds
        for split in LDS_SPLITS:
            n = benchmark.n_images(split)
            for seed in seeds:
                for number, members in blocks.items():
                    cells = len(members) * config.losses.n_timesteps * n
                    planned.append(
                        PlannedJob(
                            "losses",
                            (paths.losses(group, seed, number, split),),
                            forwards=cells * config.losses.draws,
                            n_bytes=cells * _FLOAT32,
                        )
                    )
            planned.append(
                PlannedJob(
                    "measurements",
                    (paths.measurements(group, split),),
                    n_bytes=len(seeds) * benchmark.group(group).count * n * _FLOAT64,
                )
            )
    for name, gradient_pass in config.features.items():
        k = gradient_pass.projector.k or size.n_parameters
        n_functions = len(gradient_pass.output_functions)
        steps = gradient_pass.n_timesteps * gradient_pass.draws
        for split in ("train", *splits):
            for shard, (start, stop) in benchmark.shards(split).items():
                n = stop - start
                planned.append(
                    PlannedJob(
                        "features",
                        (paths.features(name, split, shard),),
                        forwards=n * steps,
                        backwards=n * steps * n_functions,
                        n_bytes=n * k * n_functions * _FLOAT32,
                    )
                )
        planned.append(
            PlannedJob(
                "check_features",
                (paths.check(name),),
                forwards=4 * steps,
                backwards=4 * steps * n_functions,
                n_bytes=200,
            )
        )
    kernels = {benchmark.feature_set(m) for m in config.methods if benchmark.has_lambda(m)}
    for gradient_pass, output_function in sorted(filter(None, kernels)):
        k = config.features[gradient_pass].projector.k or size.n_parameters
        planned.append(
            PlannedJob(
                "kernel",
                (paths.kernel(gradient_pass, output_function),),
                n_bytes=(min(n_train, k) + 1) * min(n_train, k) * _FLOAT64,
            )
        )
    n_subsets = config.subsets.lds.count
    for method in config.methods:
        n_lambdas = len(config.lambdas.relative) if benchmark.has_lambda(method) else 1
        for split in LDS_SPLITS:
            n = benchmark.n_images(split)
            planned += [
                PlannedJob(
                    "predictions",
                    (paths.predictions(method, split),),
                    n_bytes=n_lambdas * n_subsets * n * _FLOAT32,
                ),
                PlannedJob(
                    "lds_of_method",
                    (paths.lds(method, split),),
                    n_bytes=22 * (n + 2 * config.lds.resamples),
                ),
            ]
        planned += [
            PlannedJob(
                "scores",
                (paths.scores(method, split),),
                n_bytes=benchmark.n_images(split) * n_train * _FLOAT32,
            )
            for split in splits
        ]
    report = tuple(paths("report", name) for name in ("index.html", "report.json", "lds.txt"))
    return [*planned, PlannedJob("build_report", report, n_bytes=1_000_000)]


@dataclass(frozen=True)
class UnitCost:
    """Seconds of one rule, and where they come from."""

    per_job: float
    per_gflop: float
    n_measured: int

    def seconds(self, job: PlannedJob, size: NetworkSize) -> float:
        """Return the estimated time of one job."""
        return self.per_job + self.per_gflop * job.gflops(size)


def unit_costs(planned: Iterable[PlannedJob], size: NetworkSize) -> dict[str, UnitCost]:
    """Return the unit cost of every rule: measured in this benchmark's results where there are any.

    A rule whose time follows the network's work is measured per operation, others per job.
    """
    measured: dict[str, list[tuple[float, float]]] = {}
    for job in planned:
        if provenance_path(job.outputs[0]).exists():
            seconds = read_provenance(job.outputs[0])["seconds"]
            measured.setdefault(job.rule, []).append((seconds, job.gflops(size)))
    costs = {}
    for rule, table in CALIBRATION.items():
        runs = measured.get(rule, [])
        seconds, gflops = (sum(column) for column in zip(*runs, strict=True)) if runs else (0, 0)
        if not runs:
            costs[rule] = UnitCost(table.per_job, table.per_gflop, 0)
        elif table.per_gflop:
            costs[rule] = UnitCost(0.0, seconds / gflops, len(runs))
        else:
            costs[rule] = UnitCost(seconds / len(runs), 0.0, len(runs))
    return costs


def pending_outputs(summary: str) -> set[str]:
    """Return the outputs that Snakemake would make, from the text of `snakemake --summary`."""
    rows = csv.DictReader(summary.splitlines(), delimiter="\t")
    return {row["output_file"] for row in rows if row["plan"] != "no update"}


def duration(seconds: int | float) -> str:
    """Return a time in the unit that suits it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size_text(n_bytes: int | float) -> str:
    """Return a size in the unit that suits it (powers of 1000)."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= length:
            return f"{n_bytes / length:.1f} {unit}"
    return f"{n_bytes:.0f} B"


def _rows(
    planned: list[PlannedJob], size: NetworkSize, costs: Mapping[str, UnitCost]
) -> list[list[str | int]]:
    rows: list[list[str | int]] = []
    for rule in dict.fromkeys(job.rule for job in planned):
        own = [job for job in planned if job.rule == rule]
        cost = costs[rule]
        source = f"measured on {cost.n_measured} jobs" if cost.n_measured else "calibrated table"
        rows.append([rule, *_sums(own, size, costs), source])
    rows.append(["total", *_sums(planned, size, costs), ""])
    return rows


def _sums(
    planned: list[PlannedJob], size: NetworkSize, costs: Mapping[str, UnitCost]
) -> list[str | int]:
    return [
        len(planned),
        f"{sum(job.model_steps for job in planned):,}",
        f"{sum(job.forwards for job in planned):,}",
        f"{sum(job.backwards for job in planned):,}",
        duration(sum(costs[job.rule].seconds(job, size) for job in planned)),
        size_text(sum(job.n_bytes for job in planned)),
    ]


def plan_text(benchmark: Benchmark, pending: set[str], size: NetworkSize, cores: int) -> str:
    """Return the cost plan as Markdown: the whole benchmark, and what is left of it.

    Args:
        benchmark: what is planned.
        pending: the outputs that Snakemake would make now.
        size: of the benchmark's network.
        cores: how many cores work at once.
    """
    planned = jobs(benchmark, size)
    left = [job for job in planned if pending.intersection(job.outputs)]
    costs = unit_costs(planned, size)
    headers = ["stage", "jobs", "model-steps", "forward", "backward", "core time", "disk", "times"]
    align = ("left", *["right"] * 6, "left")
    parts = [
        f"# Plan of benchmark {benchmark.name}",
        f"Network: {size.n_parameters:,} parameters, {size.forward_flops / 1e6:,.1f} MFLOP per"
        " image and forward pass. Forward and backward count images through the network.",
    ]
    threads = max(1, benchmark.config.jobs.threads)
    for title, chosen in (("The whole benchmark", planned), ("Left to do now", left)):
        seconds = sum(costs[job.rule].seconds(job, size) for job in chosen)
        lanes = max(1, cores // threads)
        parts.append(f"## {title}")
        if not chosen:
            parts.append("Nothing.")
            continue
        rows = _rows(chosen, size, costs)
        parts.append(tabulate(rows, headers, tablefmt="github", colalign=align))
        parts.append(
            f"About {duration(seconds / lanes)} with {lanes} jobs at a time ({cores} cores),"
            f" {size_text(sum(job.n_bytes for job in chosen))} on disk."
        )
    if any(cost.n_measured == 0 for cost in costs.values()):
        parts.append(
            "Times marked as from the calibrated table were taken on one core of a small virtual"
            " machine with tiny networks: right for laptops within a factor of about two, far too"
            " long for graphics cards. Run one block and plan again."
        )
    return "\n\n".join(parts) + "\n"
