"""Work of the rules of data, latents and subsets."""

from collections.abc import Mapping

from diffattr.benchmark import Benchmark
from diffattr.plan.network import FLOAT64, NetworkSize
from diffattr.plan.work.base import Group, Work, n_members, rule, sample_bytes

Wildcards = Mapping[str, str]


@rule("other")
def data(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Images, positions and labels of the real splits."""
    n = sum(benchmark.counts.n_images(split) for split in benchmark.splits.real)
    pixels = sample_bytes(benchmark)
    if benchmark.models.text_conditioned is not None:
        pixels = 3 * benchmark.config.data.resolution**2
    n_bytes = n * (pixels + 2 * FLOAT64)
    return Work(n_bytes=n_bytes, n_held=4 * n_bytes)


@rule("other")
def captions(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """One embedding per class."""
    return Work(n_bytes=1_000_000)


@rule("network")
def encode(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """A pass through the VAE counts as a pass through the network."""
    n = benchmark.counts.n_images(wildcards["split"])
    n_bytes = n * sample_bytes(benchmark)
    return Work(forwards=n, n_bytes=n_bytes, n_held=2 * n_bytes)


@rule("network")
def mirror(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """The same as `encode` for the training images."""
    return encode(benchmark, size, {"split": "train"})


@rule("light")
def subsets(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Positions of the images in each subset."""
    return _positions(benchmark, wildcards["group"], wildcards, "subsets")


@rule("light")
def remaining(benchmark: Benchmark, size: NetworkSize, wildcards: Wildcards) -> Work:
    """Positions of the images that are left for each query."""
    return _positions(benchmark, wildcards["removal"], wildcards, "subsets_removed")


def _positions(benchmark: Benchmark, group: str, wildcards: Wildcards, name: str) -> Work:
    n = n_members(benchmark, group, wildcards) * benchmark.counts.subset_size(group)
    return Work(n_bytes=n * FLOAT64, group=Group(name, group))
