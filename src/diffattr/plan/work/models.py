"""Work of the rules of data, subsets, models, generation, losses and the counterfactual."""

from diffattr.counterfactual.removals import is_removal
from diffattr.plan.network import FLOAT32, FLOAT64
from diffattr.plan.work.base import Group, Scope, Work, rule

# Copies of the weights: themselves, gradient, Adam's two moments, and state and copy when saved.
_IN_TRAINING = 6


def _group(name: str, job: Scope) -> Group:
    """Return the group of a job of one block; subsets without removed images form their own."""
    return Group(f"{name}_removed" if is_removal(job.group) else name, job.group)


def _training_images(job: Scope) -> int:
    return 2 * job.n_train * job.image_bytes


@rule("other")
def data(job: Scope) -> Work:
    """Images, positions and labels of the real splits."""
    pixels = job.image_bytes
    if job.benchmark.models.text_conditioned is not None:
        pixels = 3 * job.benchmark.config.data.resolution**2
    n = sum(map(job.benchmark.counts.n_images, job.benchmark.splits.real))
    n_bytes = n * (pixels + 2 * FLOAT64)
    return Work(n_bytes=n_bytes, n_held=4 * n_bytes)


@rule("other")
def captions(_: Scope) -> Work:
    """One embedding per class."""
    return Work(n_bytes=1_000_000)


@rule("network", "mirror")
def encode(job: Scope) -> Work:
    """A pass through the VAE counts as a pass through the network; `mirror` encodes split train."""
    n = job.benchmark.counts.n_images(job.wildcards.get("split", "train"))
    n_bytes = n * job.image_bytes
    return Work(forwards=n, n_bytes=n_bytes, n_held=2 * n_bytes)


@rule("light", "remaining")
def subsets(job: Scope) -> Work:
    """Positions of the images in each subset."""
    n = job.n_models * job.benchmark.counts.subset_size(job.group)
    return Work(n_bytes=n * FLOAT64, group=_group("subsets", job))


@rule("other")
def pretrained(job: Scope) -> Work:
    """The trained weights of a pipeline, with the frozen ones in memory."""
    n_bytes = job.network.n_bytes
    return Work(n_bytes=n_bytes, n_held=2 * n_bytes + job.network.n_frozen * FLOAT32)


@rule("network", "train_full_seed")
def train_full(job: Scope) -> Work:
    """Training on all images; checkpoints are kept of the full model, not of further seeds."""
    n_images = job.benchmark.training.epochs * job.n_train
    n_checkpoints = 0 if job.wildcards.get("seed") else len(job.benchmark.models.checkpoint_steps)
    return Work(
        model_steps=job.benchmark.config.n_steps,
        forwards=n_images,
        backwards=n_images,
        n_bytes=(1 + n_checkpoints) * job.network.n_bytes,
        n_held=_IN_TRAINING * job.network.n_bytes + _training_images(job),
    )


@rule("network")
def train_block(job: Scope) -> Work:
    """Training of every model of a block, several at once."""
    training, options = job.benchmark.training, job.benchmark.config.jobs
    n_subset, n_models = job.benchmark.counts.subset_size(job.group), job.n_models
    n_images = n_models * training.epochs * n_subset
    n_copies = n_models + _IN_TRAINING * min(n_models, options.models_per_stack)
    return Work(
        model_steps=n_models * training.n_steps(n_subset),
        forwards=n_images,
        backwards=n_images,
        n_bytes=n_models * job.network.n_bytes if options.keep_models else 0,
        n_held=n_copies * job.network.n_bytes + _training_images(job),
        group=_group("training", job),
    )


@rule("network")
def generate(job: Scope) -> Work:
    """One pass per image and step of the sampler; arrays and PNGs are written."""
    n, n_bytes = job.benchmark.sampling.n_images, job.image_bytes
    return Work(
        forwards=n * job.benchmark.sampling.n_steps,
        n_bytes=n * (n_bytes + FLOAT64 + 200),
        n_held=2 * (job.network.n_bytes + n * n_bytes),
    )


@rule("network")
def trajectories(job: Scope) -> Work:
    """The sampler again; an image per step is written."""
    n = job.benchmark.sampling.n_images * job.benchmark.sampling.n_steps
    n_bytes = n * job.image_bytes
    return Work(forwards=n, n_bytes=n_bytes, n_held=2 * (job.network.n_bytes + n_bytes))


@rule("network")
def losses(job: Scope) -> Work:
    """One pass per model, timestep, query and draw of noise."""
    options, n_models = job.benchmark.measurement.losses, job.n_models
    n_cells = n_models * options.n_timesteps * job.n_images
    n_bytes = len(job.benchmark.models.evaluated(job.group)) * n_cells * FLOAT32
    return Work(
        forwards=n_cells * options.draws,
        n_bytes=n_bytes,
        n_held=(n_models + 1) * job.network.n_bytes + 2 * n_bytes,
        group=Group("losses", job.group),
    )


@rule("matrix")
def measurements(job: Scope) -> Work:
    """A mean over timesteps of all loss tables of a group."""
    benchmark, group = job.benchmark, job.benchmark.counts.group(job.group)
    n = len(group.seeds) * group.count * job.n_images
    n_tables = len(benchmark.models.evaluated(job.group))
    n_held = 2 * n_tables * benchmark.measurement.losses.n_timesteps * n * FLOAT32
    return Work(n_bytes=n * FLOAT64, n_held=n_held, group=Group("measurements", job.group))


@rule("light")
def removals(job: Scope) -> Work:
    """Two orders of all training images, for each redrawn query."""
    n_queries, n_generated = job.benchmark.counterfactual.n_queries, job.benchmark.sampling.n_images
    return Work(
        n_bytes=2 * n_queries * job.n_train * FLOAT64,
        n_held=2 * n_generated * job.n_train * FLOAT64,
    )


@rule("network")
def originals(job: Scope) -> Work:
    """The losses of one model on the redrawn queries."""
    options = job.benchmark.measurement.losses
    n_cells = job.benchmark.counterfactual.n_queries * options.n_timesteps
    return Work(
        forwards=n_cells * options.draws,
        n_bytes=n_cells * FLOAT32,
        n_held=2 * job.network.n_bytes,
    )


@rule("network")
def redraw(job: Scope) -> Work:
    """A query per model of a block: sampling and losses."""
    options, n = job.benchmark.measurement.losses, job.n_models
    return Work(
        forwards=n * (job.benchmark.sampling.n_steps + options.n_timesteps * options.draws),
        n_bytes=n * (job.image_bytes + options.n_timesteps * FLOAT32),
        n_held=(n + 1) * job.network.n_bytes,
        group=Group("redrawing", job.group),
    )


@rule("network")
def compare_redrawn(job: Scope) -> Work:
    """Every embedding of every query, as generated and as redrawn."""
    embeddings, chosen = job.benchmark.config.embeddings, job.benchmark.counterfactual
    n_passes = sum(embeddings[name].options.get("n_timesteps", 1) for name in chosen.embeddings)
    n_redrawn = len(job.benchmark.counts.removals) * len(chosen.seeds) * chosen.n_queries
    return Work(
        forwards=(n_redrawn + chosen.n_queries) * n_passes,
        n_bytes=100 * n_redrawn,
        n_held=2 * (job.network.n_bytes + n_redrawn * job.image_bytes),
    )
