"""Work of the rules of attribution, evaluation and report: one method on one query split each."""

from collections.abc import Mapping
from dataclasses import dataclass

from diffattr.benchmark import Benchmark
from diffattr.plan.network import FLOAT32, FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, rule, sample_bytes
from diffattr.plan.work.features import dimension

Wildcards = Mapping[str, str]


@dataclass(frozen=True)
class _Scoring:
    """Scoring `n_train` images for `n_queries` queries by one method.

    With eigenvectors of the smaller Gram matrix there are `rank` numbers per image, else `dim`.
    """

    n_train: int
    n_queries: int
    dim: int
    n_models: int
    solves: bool

    @property
    def rank(self) -> int:
        return min(self.n_train, self.dim) if self.solves else self.dim

    @property
    def n_held(self) -> int:
        """Bytes of what is read, as float32 and float64, and of one matrix of scores."""
        vectors = (self.n_train + self.n_queries) * (self.dim * 20 + self.rank * FLOAT64)
        eigenvectors = self.rank**2 * FLOAT64 if self.solves else 0
        return vectors + eigenvectors + self.n_queries * self.n_train * 12

    def operations(self, n_products: int) -> int:
        """Return the operations of `n_products` scores, or sums of scores, per query."""
        into_basis = self.n_train * self.dim + self.rank**2 if self.solves else 0
        return 2 * self.n_models * self.n_queries * (into_basis + self.rank * n_products)


def _scoring(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> _Scoring:
    method = benchmark.methods[wildcards["method"]]
    if method.method.reads == "features":
        dim = dimension(benchmark, size, method.feature_set[0])
    elif method.method.reads == "losses":
        dim = benchmark.group("retrain").count
    else:
        dim = sample_bytes(benchmark) // FLOAT32
    n_queries, n_models = benchmark.n_images(wildcards["split"]), max(1, len(method.models))
    return _Scoring(benchmark.config.data.n_train, n_queries, dim, n_models, method.solves)


def _group(benchmark: Benchmark, wildcards: Wildcards) -> Group:
    """Return the group of methods that read the same; from predictions to maps they are chains."""
    method = benchmark.methods[wildcards["method"]]
    reads = method.gradient_pass or method.embedding or method.method.reads
    return Group("attribution", reads, always=True)


def _n_predictions(benchmark: Benchmark, wildcards: Wildcards) -> int:
    """Return the number of predictions per query: one per lambda and subset."""
    has_lambda = benchmark.methods[wildcards["method"]].has_lambda
    n_lambdas = len(benchmark.config.lambdas.relative) if has_lambda else 1
    return n_lambdas * benchmark.config.subsets.lds.count


@rule("matrix")
def predictions(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A product per lambda, subset and query, or sums of the scores that are there."""
    n, scoring = _n_predictions(benchmark, wildcards), _scoring(benchmark, size, wildcards)
    has_lambda = benchmark.methods[wildcards["method"]].has_lambda
    return Work(
        n_bytes=n * scoring.n_queries * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations(n) if has_lambda else 0,
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def select_lambda(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One number."""
    return Work(n_bytes=20, group=_group(benchmark, wildcards))


@rule("matrix")
def lds_of_method(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Ranks of all predictions."""
    n = benchmark.n_images(wildcards["split"])
    return Work(
        n_bytes=22 * (n + 2 * benchmark.config.lds.resamples),
        n_held=4 * _n_predictions(benchmark, wildcards) * n * FLOAT64,
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def audit_powers(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The scores of a split, bent by one power after the other."""
    n = benchmark.n_images(wildcards["split"]) * benchmark.config.data.n_train
    n_held = n * (FLOAT32 + 2 * FLOAT64)
    return Work(n_bytes=2000, n_held=n_held, group=_group(benchmark, wildcards))


@rule("matrix")
def scores(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A number per query and training image."""
    scoring = _scoring(benchmark, size, wildcards)
    return Work(
        n_bytes=scoring.n_queries * scoring.n_train * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations(scoring.n_train),
        group=_group(benchmark, wildcards),
    )


@rule("matrix")
def maps(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A map per query and training image that the report shows."""
    config, scoring = benchmark.config, _scoring(benchmark, size, wildcards)
    n_maps = scoring.n_queries * 2 * min(config.report.top, scoring.n_train)
    n_bytes = n_maps * (config.data.resolution**2 * FLOAT32 + FLOAT64)
    n_held = scoring.n_held + 2 * n_bytes
    return Work(n_bytes=n_bytes, n_held=n_held, group=_group(benchmark, wildcards))


@rule("other")
def build_report(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """All images in memory."""
    n_shown = sum(benchmark.n_images(split) for split in ("train", *benchmark.query_splits))
    return Work(n_bytes=1_000_000, n_held=4 * n_shown * sample_bytes(benchmark))
