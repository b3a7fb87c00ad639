"""Work of the rules of features, attribution, evaluation and report."""

from diffattr.attribution.method import ScoringWork
from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.paths import TRAJECTORY
from diffattr.plan.network import FLOAT32, FLOAT64
from diffattr.plan.work.base import Group, Scope, Work, rule

_EMBEDDING_BYTES = 512 * FLOAT32


@rule("network")
def embed(job: Scope) -> Work:
    """One pass per image, and per timestep if the embedding uses timesteps."""
    n, options = job.n_images, job.benchmark.config.embeddings[job.wildcards["embedding"]].options
    return Work(
        forwards=n * options.get("n_timesteps", 1),
        n_bytes=n * _EMBEDDING_BYTES,
        n_held=2 * (job.network.n_bytes + n * job.image_bytes),
    )


@rule("network")
def curvature(job: Scope) -> Work:
    """Two passes over the training images: covariances, then eigenvalues."""
    options = job.benchmark.config.curvatures[job.wildcards["curvature"]]
    n_examples = job.n_train * options.n_timesteps * options.draws
    return Work(
        forwards=2 * n_examples,
        backwards=2 * n_examples,
        # Factors of some hundred rows per layer are about as large as ten networks.
        n_bytes=10 * job.network.n_bytes,
        n_held=30 * job.network.n_bytes,
    )


@rule("network")
def features(job: Scope) -> Work:
    """A forward pass per image, timestep and draw, and a backward pass per output function."""
    name, source = job.wildcards["gradient_pass"], job.wildcards["source"]
    gradient_pass = job.benchmark.config.features[name]
    n_items, n_losses = gradient_pass.n_gradients, gradient_pass.n_timesteps
    if source == TRAJECTORY:
        n_items = n_losses = job.benchmark.sampling.n_steps
    start, stop = job.benchmark.counts.shard(source, job.wildcards["shard"])
    n, n_functions = stop - start, len(gradient_pass.output_functions)
    n_numbers = n * _dimension(job, name) * n_functions
    return Work(
        forwards=n * n_items,
        backwards=n * n_items * n_functions,
        n_bytes=(n_numbers + n * n_losses) * FLOAT32,
        n_held=4 * job.network.n_bytes + 2 * n_numbers * FLOAT32,
        group=Group("features", name),
    )


def _dimension(job: Scope, gradient_pass: str) -> int:
    """Return the number of coordinates of a pass's features."""
    return job.benchmark.config.features[gradient_pass].projector.k or job.network.n_parameters


@rule("network")
def check_features(job: Scope) -> Work:
    """The gradients of a few images, computed again."""
    gradient_pass = job.benchmark.config.features[job.wildcards["gradient_pass"]]
    n = 4 * gradient_pass.n_gradients
    return Work(
        forwards=n,
        backwards=n * len(gradient_pass.output_functions),
        n_bytes=200,
        n_held=8 * job.network.n_bytes,
    )


@rule("matrix")
def kernel(job: Scope) -> Work:
    """The Gram matrix of the training features, and all its eigenvectors."""
    name, n_train = job.wildcards["gradient_pass"], job.n_train
    k = _dimension(job, name)
    rank = min(n_train, k)
    return Work(
        n_bytes=(rank + 1) * rank * FLOAT64,
        # Features as read and as float64; the matrix, its eigenvectors and LAPACK's work space.
        n_held=n_train * k * (FLOAT32 + FLOAT64) + 4 * rank**2 * FLOAT64,
        # 9 n^3 for all eigenvectors: Golub and Van Loan, section 8.3.
        algebra=2 * n_train * k * rank + 9 * rank**3,
        group=Group("kernels", name),
    )


def _method(job: Scope) -> PlannedMethod:
    return job.benchmark.methods[job.wildcards["method"]]


def _group(job: Scope) -> Group:
    """Return the group of methods with the same inputs, whose jobs form chains."""
    method = _method(job)
    reads = method.gradient_pass or method.embedding or method.needs
    return Group("attribution", reads, always=True)


def _scoring(job: Scope, n_products: int) -> ScoringWork:
    """Return the cost of `n_products` scores, or sums of scores, per query."""
    method = _method(job)
    if method.gradient_pass is not None:
        dim = _dimension(job, method.gradient_pass)
    elif method.n_retrained is not None:
        dim = job.benchmark.counts.group("retrain").count
    else:
        dim = job.image_bytes // FLOAT32
    n_models = max(1, len(method.models))
    return method.method.work(job.n_train, job.n_images, dim, n_models, n_products)


def _n_predictions(job: Scope) -> int:
    """Return the number of predictions per query: one per lambda and subset."""
    measurement = job.benchmark.measurement
    n_lambdas = len(measurement.lambdas.relative) if _method(job).has_lambda else 1
    return n_lambdas * measurement.subsets.lds.count


@rule("matrix")
def predictions(job: Scope) -> Work:
    """A product per lambda, subset and query, or sums of stored scores."""
    n = _n_predictions(job)
    scoring = _scoring(job, n)
    return Work(
        n_bytes=n * job.n_images * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations if _method(job).has_lambda else 0,
        group=_group(job),
    )


@rule("matrix")
def select_lambda(job: Scope) -> Work:
    """One number."""
    return Work(n_bytes=20, group=_group(job))


@rule("matrix")
def lds_of_method(job: Scope) -> Work:
    """Ranks of all predictions."""
    return Work(
        n_bytes=22 * (job.n_images + 2 * job.benchmark.measurement.lds.resamples),
        n_held=4 * _n_predictions(job) * job.n_images * FLOAT64,
        group=_group(job),
    )


@rule("matrix")
def audit_powers(job: Scope) -> Work:
    """Powers of the scores of a split, one after the other."""
    n_held = job.n_images * job.n_train * (FLOAT32 + 2 * FLOAT64)
    return Work(n_bytes=2000, n_held=n_held, group=_group(job))


@rule("matrix")
def scores(job: Scope) -> Work:
    """A number per query and training image."""
    scoring = _scoring(job, job.n_train)
    return Work(
        n_bytes=job.n_images * job.n_train * FLOAT32,
        n_held=scoring.n_held,
        algebra=scoring.operations,
        group=_group(job),
    )


@rule("matrix")
def maps(job: Scope) -> Work:
    """A map per query and training image that the report shows."""
    config = job.benchmark.config
    n_maps = job.n_images * 2 * min(config.report.top, job.n_train)
    n_bytes = n_maps * (config.data.resolution**2 * FLOAT32 + FLOAT64)
    n_held = _scoring(job, 0).n_held + 2 * n_bytes
    return Work(n_bytes=n_bytes, n_held=n_held, group=_group(job))


@rule("light")
def planted(job: Scope) -> Work:
    """The ranks of a few scores, one method after the other."""
    n = job.benchmark.config.data.n_planted
    return Work(
        n_bytes=20 * n * len(job.benchmark.splits.named), n_held=4 * n * job.n_train * FLOAT32
    )


@rule("other")
def build_report(job: Scope) -> Work:
    """All images in memory."""
    shown = ("train", *job.benchmark.splits.queries)
    n_held = 4 * sum(map(job.benchmark.counts.n_images, shown)) * job.image_bytes
    return Work(n_bytes=1_000_000, n_held=n_held)
