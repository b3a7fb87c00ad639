"""Work of the rules of features, embeddings, curvatures and kernels."""

from collections.abc import Mapping

from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import TRAJECTORY
from diffattr.plan.network import FLOAT32, FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, rule, sample_bytes

Wildcards = Mapping[str, str]
_EMBEDDING_BYTES = 512 * FLOAT32


@rule("network")
def embed(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One pass per image, and per timestep if the embedding uses timesteps."""
    n = benchmark.counts.n_images(wildcards["split"])
    options = benchmark.config.embeddings[wildcards["embedding"]].options
    return Work(
        forwards=n * options.get("n_timesteps", 1),
        n_bytes=n * _EMBEDDING_BYTES,
        n_held=2 * (size.n_bytes + n * sample_bytes(benchmark)),
    )


@rule("network")
def curvature(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Two passes over the training images: covariances, then eigenvalues."""
    options = benchmark.config.curvatures[wildcards["curvature"]]
    n_examples = benchmark.config.data.n_train * options.n_timesteps * options.draws
    return Work(
        forwards=2 * n_examples,
        backwards=2 * n_examples,
        # Factors of some hundred rows per layer are about as large as ten networks.
        n_bytes=10 * size.n_bytes,
        n_held=30 * size.n_bytes,
    )


@rule("network")
def features(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A forward pass per image, timestep and draw, and a backward pass per output function."""
    name, source = wildcards["gradient_pass"], wildcards["source"]
    gradient_pass = benchmark.config.features[name]
    n_items, n_losses = gradient_pass.n_gradients, gradient_pass.n_timesteps
    if source == TRAJECTORY:
        n_items = n_losses = benchmark.sampling.n_steps
    start, stop = benchmark.counts.shard(source, wildcards["shard"])
    n, n_functions = stop - start, len(gradient_pass.output_functions)
    n_numbers = n * dimension(benchmark, size, name) * n_functions
    return Work(
        forwards=n * n_items,
        backwards=n * n_items * n_functions,
        n_bytes=(n_numbers + n * n_losses) * FLOAT32,
        n_held=4 * size.n_bytes + 2 * n_numbers * FLOAT32,
        group=Group("features", name),
    )


def dimension(benchmark: Benchmark, size: NetworkSize, gradient_pass: str) -> int:
    """Return the number of coordinates of a pass's features."""
    return benchmark.config.features[gradient_pass].projector.k or size.n_parameters


@rule("network")
def check_features(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The gradients of a few images, computed again."""
    gradient_pass = benchmark.config.features[wildcards["gradient_pass"]]
    n = 4 * gradient_pass.n_gradients
    return Work(
        forwards=n,
        backwards=n * len(gradient_pass.output_functions),
        n_bytes=200,
        n_held=8 * size.n_bytes,
    )


@rule("matrix")
def kernel(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The Gram matrix of the training features, and all its eigenvectors."""
    name, n_train = wildcards["gradient_pass"], benchmark.config.data.n_train
    k = dimension(benchmark, size, name)
    rank = min(n_train, k)
    return Work(
        n_bytes=(rank + 1) * rank * FLOAT64,
        # Features as read and as float64; the matrix, its eigenvectors and LAPACK's work space.
        n_held=n_train * k * (FLOAT32 + FLOAT64) + 4 * rank**2 * FLOAT64,
        # 9 n^3 for all eigenvectors: Golub and Van Loan, section 8.3.
        algebra=2 * n_train * k * rank + 9 * rank**3,
        group=Group("kernels", name),
    )
