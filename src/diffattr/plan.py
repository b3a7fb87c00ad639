"""What a benchmark costs, before it runs.

The work of each job follows from the config: passes through the network, model-steps, bytes. Its
time is that work at a unit cost: measured, where this benchmark already has jobs of the same rule,
else from a table calibrated on the default benchmark. Nothing is run and no array is read.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from tabulate import tabulate

from diffattr.artifacts import provenance_path, read_provenance
from diffattr.attribution.method import Work
from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import TRAJECTORY, seed_model
from diffattr.counterfactual.removals import is_removal
from diffattr.report.files import output_files

_FLOAT32, _FLOAT64 = 4, 8
_EMBEDDING_BYTES = 512 * _FLOAT32
# Copies of the weights: themselves, gradient, two moments of Adam, and state and copy when saved.
_IN_TRAINING = 6


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
    # Text-to-image stages are guesses; no benchmark has been calibrated on them.
    "captions": Calibration(20.0),
    # A VAE's pass is counted as one of the network.
    "encode": Calibration(10.0, 0.016),
    "mirror": Calibration(10.0, 0.016),
    "subsets": Calibration(1.0),
    "pretrained": Calibration(5.0),
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
    "planted": Calibration(0.2),
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
    """Trained and frozen parameters, and floating-point operations of one image's forward pass."""

    n_parameters: int
    forward_flops: int
    n_frozen: int = 0


@dataclass(frozen=True)
class PlannedJob:
    """One job: what it makes and how much work that is.

    `forwards` and `backwards` count images through the network; a training step of a batch counts
    each image once in both. `n_held` is what it holds in memory at once, in bytes, next to the
    interpreter and its libraries; `algebra` is what it computes outside the network, in
    floating-point operations. `variant` tells apart jobs of one rule that wait for others: at
    retrained models, without a query's removed images, of methods that score directly. `of` is what
    it shares with other jobs of its stage: a gradient pass, a group of subsets.
    """

    rule: str
    outputs: tuple[str, ...]
    model_steps: int = 0
    forwards: int = 0
    backwards: int = 0
    n_bytes: int = 0
    n_held: int = 0
    algebra: int = 0
    variant: str = ""
    of: str = ""

    @property
    def stage(self) -> str:
        """The rule and its variant."""
        return f"{self.rule}_{self.variant}" if self.variant else self.rule

    def gflops(self, size: NetworkSize) -> float:
        """Return the network's work; a backward pass costs two forward passes."""
        return (self.forwards + 2 * self.backwards) * size.forward_flops / 1e9


def network_size(benchmark: Benchmark) -> NetworkSize:
    """Return the size of the benchmark's network, built without memory for its weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from diffattr.diffusion.families import family
    from diffattr.diffusion.models import predict, trained

    model, shape = benchmark.config.model, benchmark.models.sample_shape
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network, told = family(model.family).outline(model.config)
        predict(network, torch.empty(1, *shape), torch.zeros(1), **told)
    n_parameters = sum(parameter.numel() for parameter in trained(network).values())
    n_frozen = sum(parameter.numel() for parameter in network.parameters()) - n_parameters
    return NetworkSize(n_parameters, counter.get_total_flops(), n_frozen)


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
    report = tuple(output_files(benchmark).values())
    n_shown = sum(
        benchmark.counts.n_images(split) for split in ("train", *benchmark.splits.queries)
    )
    n_held = 4 * n_shown * _pixels(benchmark) * _FLOAT32
    return [*planned, PlannedJob("build_report", report, n_bytes=1_000_000, n_held=n_held)]


def _pixels(benchmark: Benchmark) -> int:
    return math.prod(benchmark.models.sample_shape)


def _data_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    paths, real = benchmark.paths, benchmark.splits.real
    kinds = (paths.indices, benchmark.inputs.pictures, paths.labels)
    pixels = _pixels(benchmark) * _FLOAT32
    if benchmark.models.captioned is not None:
        pixels = 3 * benchmark.config.data.resolution**2
    n_bytes = pixels + 2 * _FLOAT64
    yield PlannedJob(
        "data",
        (*(kind(split) for split in real for kind in kinds), paths.names(), paths.classes()),
        n_bytes=sum(benchmark.counts.n_images(split) for split in real) * n_bytes,
        n_held=4 * sum(benchmark.counts.n_images(split) for split in real) * n_bytes,
    )
    if benchmark.models.captioned is None:
        return
    latent = math.prod(benchmark.models.sample_shape) * _FLOAT32
    yield PlannedJob("captions", (paths.captions(),), n_bytes=1_000_000)
    encoded = [("encode", paths.images(split), split) for split in real]
    if benchmark.training.horizontal_flip:
        encoded.append(("mirror", paths.mirrored(), "train"))
    for rule, path, split in encoded:
        n = benchmark.counts.n_images(split)
        yield PlannedJob(rule, (path,), forwards=n, n_bytes=n * latent, n_held=2 * n * latent)


def _subset_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:  # noqa: ARG001
    for group, needed in benchmark.models.needed_blocks.items():
        for number in sorted({number for _, number in needed}):
            members = benchmark.counts.blocks(group)[number]
            yield PlannedJob(
                "subsets",
                tuple(benchmark.paths.subset(group, index) for index in members),
                n_bytes=len(members) * benchmark.counts.subset_size(group) * _FLOAT64,
                variant="removed" if is_removal(group) else "",
                of=group,
            )


def _training_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    weights = size.n_parameters * _FLOAT32
    images = 2 * config.data.n_train * _pixels(benchmark) * _FLOAT32
    if benchmark.config.model.pretrained is not None:
        yield PlannedJob(
            "pretrained",
            tuple(benchmark.models.network_files.values()),
            n_bytes=weights,
            n_held=2 * weights + size.n_frozen * _FLOAT32,
        )
    for number, seed in enumerate(benchmark.models.full_seeds):
        n_images = benchmark.training.epochs * config.data.n_train
        checkpoints = benchmark.models.checkpoint_files if number == 0 else []
        n_kept = 1 + len(benchmark.models.checkpoint_steps) if number == 0 else 1
        yield PlannedJob(
            "train_full",
            (*benchmark.models.files(seed_model(seed)).values(), *checkpoints),
            model_steps=config.n_steps,
            forwards=n_images,
            backwards=n_images,
            n_bytes=n_kept * weights,
            n_held=_IN_TRAINING * weights + images,
        )
    for group, needed in benchmark.models.needed_blocks.items():
        n_subset = benchmark.counts.subset_size(group)
        for seed, number in needed:
            n_members = len(benchmark.counts.blocks(group)[number])
            n_stacked = min(n_members, config.jobs.models_per_stack)
            n_images = n_members * benchmark.training.epochs * n_subset
            yield PlannedJob(
                "train_block",
                (paths.block(group, seed, number),),
                model_steps=n_members * benchmark.training.n_steps(n_subset),
                forwards=n_images,
                backwards=n_images,
                # What is deleted in the end is not counted.
                n_bytes=n_members * weights if config.jobs.keep_models else 0,
                n_held=(n_members + _IN_TRAINING * n_stacked) * weights + images,
                variant="removed" if is_removal(group) else "",
                of=group,
            )


def _generation_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    if config.sampling is None:
        return
    n_gen, n_steps = config.sampling.n_images, config.sampling.n_steps
    n_bytes, weights = _pixels(benchmark) * _FLOAT32, size.n_parameters * _FLOAT32
    yield PlannedJob(
        "generate",
        (paths.images("gen"), paths.indices("gen"), paths("images", "gen")),
        forwards=n_gen * n_steps,
        n_bytes=n_gen * (n_bytes + _FLOAT64 + 200),
        n_held=2 * (weights + n_gen * n_bytes),
    )
    if any(method.follows_trajectory for method in benchmark.methods.values()):
        yield PlannedJob(
            "trajectories",
            (paths.trajectories(),),
            forwards=n_gen * n_steps,
            n_bytes=n_gen * n_steps * n_bytes,
            n_held=2 * (weights + n_gen * n_steps * n_bytes),
        )


def _loss_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    weights = size.n_parameters * _FLOAT32
    for group, splits in benchmark.models.measured.items():
        seeds, blocks = benchmark.counts.group(group).seeds, benchmark.counts.blocks(group)
        for split in splits:
            n = benchmark.counts.n_images(split)
            n_tables = len(benchmark.models.evaluated(group))
            for seed in seeds:
                for number, members in blocks.items():
                    cells = len(members) * benchmark.measurement.losses.n_timesteps * n
                    yield PlannedJob(
                        "losses",
                        (paths.losses(group, seed, number, split),),
                        forwards=cells * benchmark.measurement.losses.draws,
                        n_bytes=n_tables * cells * _FLOAT32,
                        n_held=(len(members) + 1) * weights + 2 * n_tables * cells * _FLOAT32,
                        of=group,
                    )
            n_models = len(seeds) * benchmark.counts.group(group).count
            for quantity in benchmark.models.quantities(group):
                yield PlannedJob(
                    "measurements",
                    (paths.measurements(group, split, quantity),),
                    n_bytes=n_models * n * _FLOAT64,
                    n_held=2
                    * n_tables
                    * n_models
                    * benchmark.measurement.losses.n_timesteps
                    * n
                    * _FLOAT32,
                    of=group,
                )


def _feature_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    weights = size.n_parameters * _FLOAT32
    for name in sorted({m.embedding for m in benchmark.methods.values() if m.embedding}):
        options = config.embeddings[name].options
        for split in ("train", *benchmark.splits.queries):
            n = benchmark.counts.n_images(split)
            yield PlannedJob(
                "embed",
                (paths.embedding(name, split),),
                forwards=n * options.get("n_timesteps", 1),
                n_bytes=n * _EMBEDDING_BYTES,
                n_held=2 * (weights + n * _pixels(benchmark) * _FLOAT32),
            )
    curvatures = {
        (curvature, model)
        for name, model, _ in benchmark.passes.sources
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
            n_bytes=10 * weights,
            n_held=30 * weights,
        )
    for (name, model, source), n_items in benchmark.passes.sources.items():
        gradient_pass = config.features[name]
        k = gradient_pass.projector.k or size.n_parameters
        n_functions = len(gradient_pass.output_functions)
        for shard, (start, stop) in benchmark.counts.shards(source).items():
            n = stop - start
            losses = n_items // (1 if source == TRAJECTORY else gradient_pass.draws)
            yield PlannedJob(
                "features",
                (paths.features(name, source, shard, model),),
                forwards=n * n_items,
                backwards=n * n_items * n_functions,
                n_bytes=n * (k * n_functions + losses) * _FLOAT32,
                n_held=4 * weights + 2 * n * k * n_functions * _FLOAT32,
                variant="" if benchmark.models.member(model) is None else "retrained",
                of=name,
            )
    for name in benchmark.passes.used:
        gradient_pass = config.features[name]
        n_items = gradient_pass.n_timesteps * gradient_pass.draws
        yield PlannedJob(
            "check_features",
            (paths.check(name),),
            forwards=4 * n_items,
            backwards=4 * n_items * len(gradient_pass.output_functions),
            n_bytes=200,
            n_held=8 * weights,
        )


def _attribution(benchmark: Benchmark, name: str, size: NetworkSize) -> Callable[[int, int], Work]:
    """Return the work of a method's scores by the numbers of queries and of scores per query."""
    config, method = benchmark.config, benchmark.methods[name]
    if method.gradient_pass is not None:
        dim = config.features[method.gradient_pass].projector.k or size.n_parameters
    elif method.n_retrained is not None:
        dim = benchmark.counts.group("retrain").count
    else:
        dim = _pixels(benchmark)
    n_models = max(1, len(method.models))
    return lambda n_queries, n_products: method.method.work(
        config.data.n_train, n_queries, dim, n_models, n_products
    )


def _attribution_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths = benchmark.config, benchmark.paths
    n_train, n_subsets = config.data.n_train, benchmark.measurement.subsets.lds.count
    kernels = {
        (*method.feature_set, model)
        for method in benchmark.methods.values()
        if method.method.solves and not method.method.curvature
        for model in method.models
    }
    for gradient_pass, output_function, model in sorted(kernels):
        k = config.features[gradient_pass].projector.k or size.n_parameters
        rank = min(n_train, k)
        yield PlannedJob(
            "kernel",
            (paths.kernel(gradient_pass, output_function, model),),
            n_bytes=(rank + 1) * rank * _FLOAT64,
            # Features as read and as float64; the matrix, its eigenvectors and LAPACK's work space.
            n_held=n_train * k * (_FLOAT32 + _FLOAT64) + 4 * rank**2 * _FLOAT64,
            # The Gram matrix, and 9 n^3 for all its eigenvectors (Golub and Van Loan, section 8.3).
            algebra=2 * n_train * k * rank + 9 * rank**3,
            of=gradient_pass,
        )
    for name, method in benchmark.methods.items():
        work = _attribution(benchmark, name, size)
        variant = "" if method.has_lambda else "direct"
        of = method.gradient_pass or method.embedding or method.needs
        n_lambdas = len(benchmark.measurement.lambdas.relative) if method.has_lambda else 1
        for split in benchmark.splits.lds_of(name):
            n = benchmark.counts.n_images(split)
            yield PlannedJob(
                "predictions",
                (paths.predictions(name, split),),
                n_bytes=n_lambdas * n_subsets * n * _FLOAT32,
                n_held=work(n, 0).held,
                algebra=work(n, n_lambdas * n_subsets).operations if method.has_lambda else 0,
                variant=variant,
                of=of,
            )
            if method.has_lambda and name in benchmark.splits.named:
                yield PlannedJob("select_lambda", (paths.selected(name, split),), n_bytes=20, of=of)
            yield PlannedJob(
                "lds_of_method",
                (paths.lds(name, split),),
                n_bytes=22 * (n + 2 * benchmark.measurement.lds.resamples),
                n_held=4 * n_lambdas * n_subsets * n * _FLOAT64,
                of=of,
            )
        for split in benchmark.splits.scored_of(name):
            yield PlannedJob(
                "scores",
                (paths.scores(name, split),),
                n_bytes=benchmark.counts.n_images(split) * n_train * _FLOAT32,
                n_held=work(benchmark.counts.n_images(split), 0).held,
                algebra=work(benchmark.counts.n_images(split), n_train).operations,
                variant=variant,
                of=of,
            )
        for split in benchmark.splits.mapped_of(name):
            n, pixels = benchmark.counts.n_images(split), config.data.resolution**2
            n_shown = 2 * min(config.report.top, n_train)
            n_bytes = n * n_shown * (pixels * _FLOAT32 + _FLOAT64)
            maps, n_held = (paths.maps(name, split),), work(n, 0).held + 2 * n_bytes
            yield PlannedJob("maps", maps, n_bytes=n_bytes, n_held=n_held, of=of)
        audited = name in benchmark.splits.named and benchmark.measurement.lds.powers
        for split in benchmark.splits.lds_of(name) if audited else ():
            n_held = benchmark.counts.n_images(split) * n_train * (_FLOAT32 + 2 * _FLOAT64)
            audit = (paths.audit(name, split),)
            yield PlannedJob("audit_powers", audit, n_bytes=2000, n_held=n_held, of=of)
    if n := benchmark.counts.n_images("planted"):
        n_bytes = 20 * n * (1 + len(benchmark.splits.methods_of("planted")))
        n_held = n * n_train * (_FLOAT32 + 1)
        yield PlannedJob("planted", (paths.planted(),), n_bytes=n_bytes, n_held=n_held)


def _counterfactual_jobs(benchmark: Benchmark, size: NetworkSize) -> Iterator[PlannedJob]:
    config, paths, chosen = benchmark.config, benchmark.paths, benchmark.config.counterfactual
    if chosen is None:
        return
    weights = size.n_parameters * _FLOAT32
    for method in chosen.methods:
        yield PlannedJob(
            "removals",
            (paths.removals(method),),
            n_bytes=2 * chosen.n_queries * config.data.n_train * _FLOAT64,
            n_held=2 * benchmark.counts.n_images("gen") * config.data.n_train * _FLOAT64,
        )
    n_losses = benchmark.measurement.losses.n_timesteps * benchmark.measurement.losses.draws
    table = benchmark.measurement.losses.n_timesteps * _FLOAT32
    yield PlannedJob(
        "originals",
        (paths.originals(),),
        forwards=chosen.n_queries * n_losses,
        n_bytes=chosen.n_queries * table,
        n_held=2 * weights,
    )
    for removal in benchmark.counts.removals:
        for seed, number in benchmark.models.needed_blocks[removal.group]:
            n_members = len(benchmark.counts.blocks(removal.group)[number])
            yield PlannedJob(
                "redraw",
                (paths.outcomes(removal.group, seed, number),),
                forwards=n_members * (benchmark.sampling.n_steps + n_losses),
                n_bytes=n_members * (_pixels(benchmark) * _FLOAT32 + table),
                n_held=(n_members + 1) * weights,
                of=removal.group,
            )
    n_embedded = sum(config.embeddings[e].options.get("n_timesteps", 1) for e in chosen.embeddings)
    n_redrawn = len(benchmark.counts.removals) * len(chosen.seeds) * chosen.n_queries
    yield PlannedJob(
        "compare_redrawn",
        (paths.counterfactual(),),
        forwards=(n_redrawn + chosen.n_queries) * n_embedded,
        n_bytes=100 * n_redrawn,
        n_held=2 * (weights + n_redrawn * _pixels(benchmark) * _FLOAT32),
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


@dataclass(frozen=True)
class Accelerator:
    """What is assumed of a kind of graphics card: peak TFLOP/s (dense), and the share reached."""

    tf32: float
    bf16: float
    utilisation: float

    def seconds(self, job: PlannedJob, size: NetworkSize, mixed_precision: str) -> float:
        """Return the time of one job whose network's work it does."""
        in_bf16 = job.rule.startswith("train_") and mixed_precision != "no"
        peak = self.bf16 if in_bf16 else self.tf32
        return _ACCELERATED_START_S + job.gflops(size) / (1000 * peak * self.utilisation)


# Assumptions, not measurements: peaks of the SXM cards by their data sheets, and what U-Nets of
# some ten million parameters on 32x32 images can be expected to reach of them.
ACCELERATORS = {"A100": Accelerator(156.0, 312.0, 0.15), "H100": Accelerator(495.0, 989.0, 0.10)}
_ACCELERATED_START_S = 20.0
# Assumed of a core in float64 linear algebra.
_HOST_GFLOPS_PER_S = 10.0


def cluster_seconds(
    job: PlannedJob, benchmark: Benchmark, size: NetworkSize, accelerator: Accelerator
) -> float:
    """Return the estimated time of one job on a cluster, nothing being measured."""
    table, config = CALIBRATION[job.rule], benchmark.config
    algebra = job.algebra / (1e9 * _HOST_GFLOPS_PER_S * config.jobs.threads)
    if table.per_gflop and config.jobs.gpus:
        return accelerator.seconds(job, size, benchmark.training.mixed_precision) + algebra
    return table.per_job + table.per_gflop * job.gflops(size) + algebra


# What each stage waits for. Stages that a benchmark does not have are passed through.
_WAITS_FOR: dict[str, tuple[str, ...]] = {
    "data": (),
    "subsets": ("data",),
    "pretrained": (),
    "train_full": ("data",),
    "train_block": ("subsets",),
    "generate": ("train_full", "pretrained"),
    "trajectories": ("train_full", "pretrained"),
    "losses": ("train_block", "generate"),
    "measurements": ("losses",),
    "embed": ("data", "generate"),
    "curvature": ("data", "train_full", "pretrained"),
    "features": ("data", "generate", "trajectories", "curvature"),
    "features_retrained": ("train_block", "features"),
    "check_features": ("features",),
    "kernel": ("features", "features_retrained"),
    "predictions": ("kernel", "measurements"),
    "select_lambda": ("predictions", "measurements"),
    "scores": ("select_lambda",),
    "scores_direct": ("features", "features_retrained", "embed", "measurements"),
    "predictions_direct": ("scores_direct",),
    "lds_of_method": ("predictions", "predictions_direct", "measurements"),
    "audit_powers": ("scores", "scores_direct", "measurements"),
    "maps": ("scores", "scores_direct"),
    "planted": ("scores", "scores_direct"),
    "removals": ("scores", "scores_direct"),
    "subsets_removed": ("removals",),
    "train_block_removed": ("subsets_removed",),
    "originals": ("generate",),
    "redraw": ("train_block_removed",),
    "compare_redrawn": ("redraw", "originals"),
    "build_report": (
        *("scores", "scores_direct", "lds_of_method", "audit_powers", "maps", "check_features"),
        *("planted", "compare_redrawn"),
    ),
}


def longest_chain(
    planned: Iterable[PlannedJob], seconds: Callable[[PlannedJob], float]
) -> tuple[float, list[str]]:
    """Return the time that no number of machines can save, and the stages that it goes through."""
    longest: dict[str, float] = {}
    for job in planned:
        longest[job.stage] = max(longest.get(job.stage, 0.0), seconds(job))

    @cache
    def until(stage: str) -> tuple[float, list[str]]:
        time, before = max((until(earlier) for earlier in _WAITS_FOR[stage]), default=(0.0, []))
        return time + longest.get(stage, 0.0), [*before, *([stage] if stage in longest else [])]

    return until("build_report")


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


def _work(planned: Sequence[PlannedJob]) -> list[str | int]:
    return [
        len(planned),
        f"{sum(job.model_steps for job in planned):,}",
        f"{sum(job.forwards for job in planned):,}",
        f"{sum(job.backwards for job in planned):,}",
    ]


def _table(
    planned: Sequence[PlannedJob],
    times: Mapping[str, Callable[[PlannedJob], float]],
    source: Callable[[str], str],
) -> str:
    """Return the table of stages: `times` are columns of time, `source` says whence they are."""

    def cells(name: str, own: Sequence[PlannedJob], whence: str) -> list[str | int]:
        columns = [duration(sum(map(seconds, own))) for seconds in times.values()]
        return [name, *_work(own), *columns, size_text(sum(job.n_bytes for job in own)), whence]

    rules = dict.fromkeys(job.rule for job in planned)
    rows = [cells(rule, [j for j in planned if j.rule == rule], source(rule)) for rule in rules]
    rows.append(cells("total", planned, ""))
    headers = ["stage", "jobs", "model-steps", "forward", "backward", *times, "disk", "times"]
    align = ("left", *["right"] * (len(headers) - 2), "left")
    return tabulate(rows, headers, tablefmt="github", colalign=align)


@dataclass(frozen=True)
class Machines:
    """What works at once: cores where the benchmark asks for no GPU, else GPUs."""

    cores: int
    gpus: int = 1


def plan_text(
    benchmark: Benchmark,
    pending: set[str],
    size: NetworkSize,
    machines: Machines,
    cluster_jobs: Callable[[Sequence[PlannedJob]], int],
) -> str:
    """Return the cost plan as Markdown: the whole benchmark, and what is left of it.

    Args:
        benchmark: what is planned.
        pending: the outputs that Snakemake would make now.
        size: of the benchmark's network.
        machines: what works at once.
        cluster_jobs: as how many jobs a cluster would get some jobs.
    """
    planned = jobs(benchmark, size)
    left = [job for job in planned if pending.intersection(job.outputs)]
    costs = unit_costs(planned, size)
    parts = [
        f"# Plan of benchmark {benchmark.name}",
        f"Network: {size.n_parameters:,} parameters, {size.forward_flops / 1e6:,.1f} MFLOP per"
        " image and forward pass. Forward and backward count images through the network.",
        f"Models: {_n_models(benchmark):,}.",
    ]
    describe = _on_gpus if benchmark.config.jobs.gpus else _on_cores
    for title, chosen in (("The whole benchmark", planned), ("Left to do now", left)):
        parts.append(f"## {title}")
        if not chosen:
            parts.append("Nothing.")
            continue
        parts += describe(benchmark, chosen, size, costs, machines)
        parts.append(
            f"With `--profile slurm` {len(chosen):,} jobs go out as {cluster_jobs(chosen):,}."
        )
    if benchmark.config.jobs.gpus:
        parts.append(_assumptions())
    elif any(cost.n_measured == 0 for cost in costs.values()):
        parts.append(
            "Times marked as from the calibrated table were taken on one core of a small virtual"
            " machine with tiny networks: right for laptops within a factor of about two, far too"
            " long for graphics cards. Run one block and plan again."
        )
    return "\n\n".join(parts) + "\n"


def _n_models(benchmark: Benchmark) -> int:
    trained = (
        len(benchmark.counts.blocks(group)[number])
        for group, needed in benchmark.models.needed_blocks.items()
        for _, number in needed
    )
    return len(benchmark.models.full_seeds) + sum(trained)


def _on_cores(
    benchmark: Benchmark,
    chosen: Sequence[PlannedJob],
    size: NetworkSize,
    costs: Mapping[str, UnitCost],
    machines: Machines,
) -> list[str]:
    def seconds(job: PlannedJob) -> float:
        return costs[job.rule].seconds(job, size)

    def source(rule: str) -> str:
        n_measured = costs[rule].n_measured
        return f"measured on {n_measured} jobs" if n_measured else "calibrated table"

    lanes = max(1, machines.cores // max(1, benchmark.config.jobs.threads))
    return [
        _table(chosen, {"core time": seconds}, source),
        f"About {duration(sum(map(seconds, chosen)) / lanes)} with {lanes} jobs at a time"
        f" ({machines.cores} cores), {size_text(sum(job.n_bytes for job in chosen))} on disk.",
        _chain(chosen, seconds),
    ]


def _on_gpus(
    benchmark: Benchmark,
    chosen: Sequence[PlannedJob],
    size: NetworkSize,
    costs: Mapping[str, UnitCost],
    machines: Machines,
) -> list[str]:
    times: dict[str, Callable[[PlannedJob], float]] = {
        name: partial(
            cluster_seconds, benchmark=benchmark, size=size, accelerator=ACCELERATORS[name]
        )
        for name in ACCELERATORS
    }

    def source(rule: str) -> str:
        return "assumed" if CALIBRATION[rule].per_gflop else "calibrated table"

    on_gpu = [job for job in chosen if CALIBRATION[job.rule].per_gflop]
    lanes = max(1, machines.gpus // benchmark.config.jobs.gpus)
    parts = [_table(chosen, times, source)]
    for name, seconds in times.items():
        work = sum(map(seconds, on_gpu))
        wall = max(work / lanes, longest_chain(chosen, seconds)[0])
        parts.append(
            f"On {name}: {work * benchmark.config.jobs.gpus / 3600:,.1f} GPU hours; with"
            f" {machines.gpus} of them at least {duration(wall)}. {_chain(chosen, seconds)}"
        )
    parts.append(f"{size_text(sum(job.n_bytes for job in chosen))} on disk.")
    measured = [job for job in on_gpu if costs[job.rule].n_measured]
    if measured:
        work = sum(costs[job.rule].seconds(job, size) for job in measured)
        parts.append(
            f"As measured here, the {len(measured):,} jobs of the measured stages take"
            f" {duration(work)} in all."
        )
    return parts


def _chain(chosen: Sequence[PlannedJob], seconds: Callable[[PlannedJob], float]) -> str:
    time, stages = longest_chain(chosen, seconds)
    return f"The longest chain of jobs takes {duration(time)}: {', '.join(stages)}."


def _assumptions() -> str:
    rows = [[name, *vars(card).values()] for name, card in ACCELERATORS.items()]
    headers = ["card", "peak TF32 TFLOP/s", "peak bf16 TFLOP/s", "share reached"]
    return (
        "Times on graphics cards are assumptions: the network's work at a share of the peak, and"
        f" {_ACCELERATED_START_S:.0f} s to start. Run one block and plan again.\n\n"
        + tabulate(rows, headers, tablefmt="github")
    )
