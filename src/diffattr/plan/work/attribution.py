"""Work of the rules of attribution, evaluation and report; most are for one method and split."""

from collections.abc import Mapping

from diffattr.attribution.method import ScoringWork
from diffattr.benchmark import Benchmark
from diffattr.plan.network import FLOAT32, FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, rule, sample_bytes
from diffattr.plan.work.features import dimension

Wildcards = Mapping[str, str]


def _scoring(
    benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards, n_products: int
) -> ScoringWork:
    """Return the cost of `n_products` scores, or sums of scores, per query."""
    method = benchmark.methods[wildcards["method"]]
    if method.gradient_pass is not None:
        dim = dimension(benchmark, size, method.gradient_pass)
    elif method.n_retrained is not None:
        dim = benchmark.counts.group("retrain").count
    else:
        dim = sample_bytes(benchmark) // FLOAT32
    return method.method.work(
        benchmark.config.data.n_train,
        benchmark.counts.n_images(wildcards["split"]),
        dim,
        max(1, len(method.models)),
        n_products,
    )


def _group(benchmark: Benchmark, wildcards: Wildcards) -> Group:
    """Return the group of methods with the same inputs, whose jobs form chains."""
    method = benchmark.methods[wildcards["method"]]
    reads = method.gradient_pass or method.embedding or method.needs
    return Group("attribution", reads, always=True)


def _n_predictions(benchmark: Benchmark, wildcards: Wildcards) -> int:
    """Return the number of predictions per query: one per lambda and subset."""
    has_lambda = benchmark.methods[wildcards["method"]].has_lambda
    n_lambdas = len(benchmark.measurement.lambdas.relative) if has_lambda else 1
    return n_lambdas * benchmark.measurement.subsets.lds.count


@rule("matrix")
def predictions(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A product per lambda, subset and query, or sums of stored scores."""
    n = _n_predictions(benchmark, wildcards)
    scoring = _scoring(benchmark, size, wildcards, n)
    has_lambda = benchmark.methods[wildcards["method"]].has_lambda
    return Work(
        n_bytes=n * benchmark.counts.n_images(wildcards["split"]) * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations if has_lambda else 0,
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def select_lambda(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One number."""
    return Work(n_bytes=20, group=_group(benchmark, wildcards))


@rule("matrix")
def lds_of_method(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Ranks of all predictions."""
    n = benchmark.counts.n_images(wildcards["split"])
    return Work(
        n_bytes=22 * (n + 2 * benchmark.measurement.lds.resamples),
        n_held=4 * _n_predictions(benchmark, wildcards) * n * FLOAT64,
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def audit_powers(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Powers of the scores of a split, one after the other."""
    n = benchmark.counts.n_images(wildcards["split"]) * benchmark.config.data.n_train
    n_held = n * (FLOAT32 + 2 * FLOAT64)
    return Work(n_bytes=2000, n_held=n_held, group=_group(benchmark, wildcards))


@rule("matrix")
def scores(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A number per query and training image."""
    n_train = benchmark.config.data.n_train
    scoring = _scoring(benchmark, size, wildcards, n_train)
    return Work(
        n_bytes=benchmark.counts.n_images(wildcards["split"]) * n_train * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations,
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def maps(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A map per query and training image that the report shows."""
    config, n_queries = benchmark.config, benchmark.counts.n_images(wildcards["split"])
    n_maps = n_queries * 2 * min(config.report.top, config.data.n_train)
    n_bytes = n_maps * (config.data.resolution**2 * FLOAT32 + FLOAT64)
    n_held = _scoring(benchmark, size, wildcards, 0).n_held + 2 * n_bytes
    return Work(n_bytes=n_bytes, n_held=n_held, group=_group(benchmark, wildcards))


@rule("light")
def planted(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The ranks of a few scores, one method after the other."""
    n = benchmark.config.data.n_planted
    return Work(
        n_bytes=20 * n * len(benchmark.splits.named),
        n_held=4 * n * benchmark.config.data.n_train * FLOAT32,
    )


@rule("other")
def build_report(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """All images in memory."""
    n_shown = sum(
        benchmark.counts.n_images(split) for split in ("train", *benchmark.splits.queries)
    )
    return Work(n_bytes=1_000_000, n_held=4 * n_shown * sample_bytes(benchmark))
