"""Work of the rules of the counterfactual evaluation."""

from collections.abc import Mapping

from diffattr.benchmark import Benchmark
from diffattr.plan.network import FLOAT32, FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, n_members, rule, sample_bytes

Wildcards = Mapping[str, str]


@rule("light")
def removals(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Two orders of all training images, for each redrawn query."""
    n_train, chosen = benchmark.config.data.n_train, benchmark.counterfactual
    return Work(
        n_bytes=2 * chosen.n_queries * n_train * FLOAT64,
        n_held=2 * benchmark.counts.n_images("gen") * n_train * FLOAT64,
    )


@rule("network")
def originals(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The losses of one model on the redrawn queries."""
    losses, chosen = benchmark.measurement.losses, benchmark.counterfactual
    return Work(
        forwards=chosen.n_queries * losses.n_timesteps * losses.draws,
        n_bytes=chosen.n_queries * losses.n_timesteps * FLOAT32,
        n_held=2 * size.n_bytes,
    )


@rule("network")
def redraw(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A query per model of a block: sampling and losses."""
    group, losses = wildcards["removal"], benchmark.measurement.losses
    n = n_members(benchmark, group, wildcards)
    n_losses = losses.n_timesteps * losses.draws
    n_bytes = sample_bytes(benchmark) + losses.n_timesteps * FLOAT32
    return Work(
        forwards=n * (benchmark.sampling.n_steps + n_losses),
        n_bytes=n * n_bytes,
        n_held=(n + 1) * size.n_bytes,
        group=Group("redrawing", group),
    )


@rule("network")
def compare_redrawn(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Every embedding of every query, as generated and as redrawn."""
    config, chosen = benchmark.config, benchmark.counterfactual
    n_passes = sum(config.embeddings[e].options.get("n_timesteps", 1) for e in chosen.embeddings)
    n_redrawn = len(benchmark.counts.removals) * len(chosen.seeds) * chosen.n_queries
    return Work(
        forwards=(n_redrawn + chosen.n_queries) * n_passes,
        n_bytes=100 * n_redrawn,
        n_held=2 * (size.n_bytes + n_redrawn * sample_bytes(benchmark)),
    )
