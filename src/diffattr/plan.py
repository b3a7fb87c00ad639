"""What a benchmark costs, before it runs.

The work of each job follows from the config: passes through the network, model-steps, bytes. Its
time is that work at a unit cost: measured, where this benchmark already has jobs of the same rule,
else from a table calibrated on the default benchmark. Nothing is run and no array is read.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tabulate import tabulate

from diffattr.artifacts import provenance_path, read_provenance
from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import TRAJECTORY, seed_model

_FLOAT32, _FLOAT64 = 4, 8
_EMBEDDING_BYTES = 512 * _FLOAT32


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
    "trajectories": Calibration(3.0, 0.02),
    "embed": Calibration(3.0, 0.016),
    "curvature": Calibration(3.0, 0.03),
    "features": Calibration(3.0, 0.03),
    "check_features": Calibration(3.0, 0.03),
    "kernel": Calibration(0.2),
    "predictions": Calibration(0.2),
    "select_lambda": Calibration(0.2),
    "lds_of_method": Calibration(0.5),
    "scores": Calibration(0.2),
    "maps": Calibration(5.0),
    "audit_powers": Calibration(0.5),
    "removals": Calibration(0.2),
    "originals": Calibration(3.0, 0.016),
    "redraw": Calibration(3.0, 0.02),
    "compare_redrawn": Calibration(3.0, 0.016),
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
    stages = (
        _data_jobs,
        _subset_jobs,
        _training_jobs,
        _generation_jobs,
        _loss_jobs,
        _feature_jobs,
        _attribution_jobs,
        _counterfactual_jobs,
    )
    planned = [job for stage in stages for job in stage(benchmark, size)]
    names = ["index.html", "report.json", "lds.txt", "queries"]
    names += ["sweeps.html"] if benchmark.cells else []
    names += ["counterfactual.html"] if benchmark.removals else []
    report = tuple(benchmark.paths("report", name) for name in names)
    return [*planned, PlannedJob("build_report", report, n_bytes=1_000_000)]


def _pixels(benchmark: Benchmark) -> int:
    config = benchmark.config
    return config.model.config.get("in_channels", 3) * config.data.resolution**2


def _data_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    paths, real = benchmark.paths, benchmark.real_splits
    kinds = (paths.indices, paths.images, paths.labels)
    n_bytes = _pixels(benchmark) * _FLOAT32 + 2 * _FLOAT64
    yield PlannedJob(
        "data",
        tuple(kind(split) for split in real for kind in kinds),
        n_bytes=sum(benchmark.n_images(split) for split in real) * n_bytes,
    )


def _subset_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    for group, needed in benchmark.needed_blocks.items():
        for number in sorted({number for _, number in needed}):
            members = benchmark.blocks(group)[number]
            yield PlannedJob(
                "subsets",
                tuple(benchmark.paths.subset(group, index) for index in members),
                n_bytes=len(members) * benchmark.subset_size(group) * _FLOAT64,
            )


def _training_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    n_images = config.training.epochs * config.data.n_train
    for number, seed in enumerate(benchmark.full_seeds):
        checkpoints = benchmark.checkpoint_files if number == 0 else []
        n_kept = 1 + len(benchmark.checkpoint_steps) if number == 0 else 1
        yield PlannedJob(
            "train_full",
            (*benchmark.model_files(seed_model(seed)).values(), *checkpoints),
            model_steps=config.n_steps,
            forwards=n_images,
            backwards=n_images,
            n_bytes=n_kept * size.n_parameters * _FLOAT32,
        )
    for group, needed in benchmark.needed_blocks.items():
        n_subset = benchmark.subset_size(group)
        for seed, number in needed:
            n_members = len(benchmark.blocks(group)[number])
            n_images = n_members * config.training.epochs * n_subset
            yield PlannedJob(
                "train_block",
                (paths.block(group, seed, number),),
                model_steps=n_members * config.training.n_steps(n_subset),
                forwards=n_images,
                backwards=n_images,
                n_bytes=n_members * size.n_parameters * _FLOAT32,
            )


def _generation_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    config, paths = benchmark.config, benchmark.paths
    n_gen, n_steps = config.sampling.n_images, config.sampling.n_steps
    n_bytes = _pixels(benchmark) * _FLOAT32
    yield PlannedJob(
        "generate",
        (paths.images("gen"), paths.indices("gen"), paths("images", "gen")),
        forwards=n_gen * n_steps,
        n_bytes=n_gen * (n_bytes + _FLOAT64 + 200),
    )
    if any(method.follows_trajectory for method in benchmark.methods.values()):
        yield PlannedJob(
            "trajectories",
            (paths.trajectories(),),
            forwards=n_gen * n_steps,
            n_bytes=n_gen * n_steps * n_bytes,
        )


def _loss_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    config, paths = benchmark.config, benchmark.paths
    for group, splits in benchmark.measured.items():
        seeds, blocks = benchmark.group(group).seeds, benchmark.blocks(group)
        for split in splits:
            n = benchmark.n_images(split)
            for seed in seeds:
                for number, members in blocks.items():
                    cells = len(members) * config.losses.n_timesteps * n
                    n_tables = 2 if benchmark.with_squares(group) else 1
                    yield PlannedJob(
                        "losses",
                        (paths.losses(group, seed, number, split),),
                        forwards=cells * config.losses.draws,
                        n_bytes=n_tables * cells * _FLOAT32,
                    )
            for quantity in benchmark.quantities(group):
                yield PlannedJob(
                    "measurements",
                    (paths.measurements(group, split, quantity),),
                    n_bytes=len(seeds) * benchmark.group(group).count * n * _FLOAT64,
                )


def _feature_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    for name in sorted({m.embedding for m in benchmark.methods.values() if m.embedding}):
        options = config.embeddings[name].options
        for split in ("train", *benchmark.query_splits):
            n = benchmark.n_images(split)
            yield PlannedJob(
                "embed",
                (paths.embedding(name, split),),
                forwards=n * options.get("n_timesteps", 1),
                n_bytes=n * _EMBEDDING_BYTES,
            )
    curvatures = {
        (curvature, model)
        for name, model, _ in benchmark.feature_sources
        if (curvature := config.features[name].curvature) is not None
    }
    for name, model in sorted(curvatures):
        options = config.curvatures[name]
        n_examples = config.data.n_train * options.n_timesteps * options.draws
        yield PlannedJob(
            "curvature",
            (paths.curvature(name, model),),
            forwards=2 * n_examples,
            backwards=2 * n_examples,
            # Factors of some hundred rows per layer weigh about as much as ten networks.
            n_bytes=10 * size.n_parameters * _FLOAT32,
        )
    for (name, model, source), n_items in benchmark.feature_sources.items():
        gradient_pass = config.features[name]
        k = gradient_pass.projector.k or size.n_parameters
        n_functions = len(gradient_pass.output_functions)
        for shard, (start, stop) in benchmark.shards(source).items():
            n = stop - start
            losses = n_items // (1 if source == TRAJECTORY else gradient_pass.draws)
            yield PlannedJob(
                "features",
                (paths.features(name, source, shard, model),),
                forwards=n * n_items,
                backwards=n * n_items * n_functions,
                n_bytes=n * (k * n_functions + losses) * _FLOAT32,
            )
    for name in benchmark.used_passes:
        gradient_pass = config.features[name]
        n_items = gradient_pass.n_timesteps * gradient_pass.draws
        yield PlannedJob(
            "check_features",
            (paths.check(name),),
            forwards=4 * n_items,
            backwards=4 * n_items * len(gradient_pass.output_functions),
            n_bytes=200,
        )


def _attribution_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    n_train, n_subsets = config.data.n_train, config.subsets.lds.count
    kernels = {
        (*method.feature_set, model)
        for method in benchmark.methods.values()
        if method.solves and not method.method.curvature
        for model in method.models
    }
    for gradient_pass, output_function, model in sorted(kernels):
        k = config.features[gradient_pass].projector.k or size.n_parameters
        yield PlannedJob(
            "kernel",
            (paths.kernel(gradient_pass, output_function, model),),
            n_bytes=(min(n_train, k) + 1) * min(n_train, k) * _FLOAT64,
        )
    for name, method in benchmark.methods.items():
        n_lambdas = len(config.lambdas.relative) if method.has_lambda else 1
        for split in benchmark.lds_splits_of(name):
            n = benchmark.n_images(split)
            yield PlannedJob(
                "predictions",
                (paths.predictions(name, split),),
                n_bytes=n_lambdas * n_subsets * n * _FLOAT32,
            )
            if method.has_lambda and name in benchmark.named_methods:
                yield PlannedJob("select_lambda", (paths.selected(name, split),), n_bytes=20)
            yield PlannedJob(
                "lds_of_method",
                (paths.lds(name, split),),
                n_bytes=22 * (n + 2 * config.lds.resamples),
            )
        for split in benchmark.scored_splits_of(name):
            yield PlannedJob(
                "scores",
                (paths.scores(name, split),),
                n_bytes=benchmark.n_images(split) * n_train * _FLOAT32,
            )
        for split in benchmark.mapped_splits_of(name):
            n, pixels = benchmark.n_images(split), config.data.resolution**2
            n_shown = 2 * min(config.report.top, n_train)
            n_bytes = n * n_shown * (pixels * _FLOAT32 + _FLOAT64)
            yield PlannedJob("maps", (paths.maps(name, split),), n_bytes=n_bytes)
        audited = name in benchmark.named_methods and config.lds.powers
        for split in benchmark.lds_splits_of(name) if audited else ():
            yield PlannedJob("audit_powers", (paths.audit(name, split),), n_bytes=2000)


def _counterfactual_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    config, paths, chosen = benchmark.config, benchmark.paths, benchmark.config.counterfactual
    if chosen is None:
        return
    for method in chosen.methods:
        yield PlannedJob(
            "removals",
            (paths.removals(method),),
            n_bytes=2 * chosen.n_queries * config.data.n_train * _FLOAT64,
        )
    n_losses = config.losses.n_timesteps * config.losses.draws
    table = config.losses.n_timesteps * _FLOAT32
    yield PlannedJob(
        "originals",
        (paths.originals(),),
        forwards=chosen.n_queries * n_losses,
        n_bytes=chosen.n_queries * table,
    )
    for removal in benchmark.removals:
        for seed, number in benchmark.needed_blocks[removal.group]:
            n_members = len(benchmark.blocks(removal.group)[number])
            yield PlannedJob(
                "redraw",
                (paths.outcomes(removal.group, seed, number),),
                forwards=n_members * (config.sampling.n_steps + n_losses),
                n_bytes=n_members * (_pixels(benchmark) * _FLOAT32 + table),
            )
    n_embedded = sum(config.embeddings[e].options.get("n_timesteps", 1) for e in chosen.embeddings)
    n_redrawn = len(benchmark.removals) * len(chosen.seeds) * chosen.n_queries
    yield PlannedJob(
        "compare_redrawn",
        (paths.counterfactual(),),
        forwards=(n_redrawn + chosen.n_queries) * n_embedded,
        n_bytes=100 * n_redrawn,
    )


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
