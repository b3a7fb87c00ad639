"""Work of the rules of models, generation and losses."""

from collections.abc import Mapping

from diffattr.benchmark import Benchmark
from diffattr.counterfactual.removals import is_removal
from diffattr.plan.network import FLOAT32, FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, n_members, rule, sample_bytes

Wildcards = Mapping[str, str]
# Copies of the weights: themselves, gradient, Adam's two moments, and state and copy when saved.
_IN_TRAINING = 6


@rule("other")
def pretrained(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The trained weights of a pipeline, with the frozen ones in memory."""
    n_held = 2 * size.n_bytes + size.n_frozen * FLOAT32
    return Work(n_bytes=size.n_bytes, n_held=n_held)


def _full(benchmark: Benchmark, size: NetworkSize, n_kept: int) -> Work:
    config = benchmark.config
    n_images = benchmark.training.epochs * config.data.n_train
    return Work(
        model_steps=config.n_steps,
        forwards=n_images,
        backwards=n_images,
        n_bytes=n_kept * size.n_bytes,
        n_held=_IN_TRAINING * size.n_bytes + _training_images(benchmark),
    )


def _training_images(benchmark: Benchmark) -> int:
    return 2 * benchmark.config.data.n_train * sample_bytes(benchmark)


@rule("network")
def train_full(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Training on all images; the final model and every checkpoint are kept."""
    return _full(benchmark, size, n_kept=1 + len(benchmark.models.checkpoint_steps))


@rule("network")
def train_full_seed(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Training on all images; the final model is kept."""
    return _full(benchmark, size, n_kept=1)


@rule("network")
def train_block(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Training of every model of a block, several at once."""
    config, group = benchmark.config, wildcards["group"]
    n_subset, n_models = benchmark.counts.subset_size(group), n_members(benchmark, group, wildcards)
    n_stacked = min(n_models, config.jobs.models_per_stack)
    n_images = n_models * benchmark.training.epochs * n_subset
    n_held = (n_models + _IN_TRAINING * n_stacked) * size.n_bytes + _training_images(benchmark)
    return Work(
        model_steps=n_models * benchmark.training.n_steps(n_subset),
        forwards=n_images,
        backwards=n_images,
        n_bytes=n_models * size.n_bytes if config.jobs.keep_models else 0,
        n_held=n_held,
        group=Group("training_removed" if is_removal(group) else "training", group),
    )


@rule("network")
def generate(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One pass per image and step of the sampler; arrays and PNGs are written."""
    n, n_bytes = benchmark.sampling.n_images, sample_bytes(benchmark)
    return Work(
        forwards=n * benchmark.sampling.n_steps,
        n_bytes=n * (n_bytes + FLOAT64 + 200),
        n_held=2 * (size.n_bytes + n * n_bytes),
    )


@rule("network")
def trajectories(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The sampler again; an image per step is written."""
    n = benchmark.sampling.n_images * benchmark.sampling.n_steps
    n_bytes = n * sample_bytes(benchmark)
    return Work(forwards=n, n_bytes=n_bytes, n_held=2 * (size.n_bytes + n_bytes))


@rule("network")
def losses(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One pass per model, timestep, query and draw of noise."""
    config, group = benchmark.measurement.losses, wildcards["group"]
    n_models, n_tables = (
        n_members(benchmark, group, wildcards),
        len(benchmark.models.evaluated(group)),
    )
    n_cells = n_models * config.n_timesteps * benchmark.counts.n_images(wildcards["split"])
    n_bytes = n_tables * n_cells * FLOAT32
    return Work(
        forwards=n_cells * config.draws,
        n_bytes=n_bytes,
        n_held=(n_models + 1) * size.n_bytes + 2 * n_bytes,
        group=Group("losses", group),
    )


@rule("matrix")
def measurements(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A mean over timesteps of all loss tables of a group."""
    name = wildcards["group"]
    group, n_timesteps = benchmark.counts.group(name), benchmark.measurement.losses.n_timesteps
    n = len(group.seeds) * group.count * benchmark.counts.n_images(wildcards["split"])
    n_held = 2 * len(benchmark.models.evaluated(name)) * n_timesteps * n * FLOAT32
    return Work(n_bytes=n * FLOAT64, n_held=n_held, group=Group("measurements", name))
