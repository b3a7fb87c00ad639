"""The size of a benchmark's network, stored for readers without torch."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass

import msgspec

from diffattr.artifacts import ArtifactError, read_json, write_json
from diffattr.benchmark import Benchmark

FLOAT32, FLOAT64 = 4, 8
"""Bytes of a number."""


@dataclass(frozen=True)
class NetworkSize:
    """Trained and frozen parameters, and floating-point operations of one image's forward pass."""

    n_parameters: int
    forward_flops: int
    n_frozen: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes of the trained parameters."""
        return self.n_parameters * FLOAT32


def network_size(benchmark: Benchmark) -> NetworkSize:
    """Return the size of the benchmark's network, built without memory for its weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from diffattr.diffusion.families import family
    from diffattr.diffusion.models import predict, trained_parameters

    model, shape = benchmark.config.model, benchmark.models.sample_shape
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network, conditioning = family(model.family).outline(model.config)
        predict(network, torch.empty(1, *shape), torch.zeros(1), **conditioning)
    n_parameters = sum(parameter.numel() for parameter in trained_parameters(network).values())
    n_frozen = sum(parameter.numel() for parameter in network.parameters()) - n_parameters
    return NetworkSize(n_parameters, counter.get_total_flops(), n_frozen)


def size_path(benchmark: Benchmark) -> str:
    """Return the file that stores the size of a benchmark's network."""
    return benchmark.paths("network.json")


def size_key(benchmark: Benchmark) -> str:
    """Return a digest of what the size depends on."""
    config = benchmark.config
    used = {"model": msgspec.to_builtins(config.model), "resolution": config.data.resolution}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def known_size(benchmark: Benchmark) -> NetworkSize | None:
    """Return the stored size of the benchmark's network, None if it is missing or damaged."""
    with suppress(ArtifactError, OSError, KeyError, TypeError):
        kept = read_json(size_path(benchmark))
        if kept.pop("key") == size_key(benchmark):
            return NetworkSize(**kept)
    return None


def kept_size(benchmark: Benchmark) -> NetworkSize:
    """Return the size of the benchmark's network, computed and stored if it has changed."""
    size = known_size(benchmark)
    if size is None:
        size = network_size(benchmark)
        write_json(size_path(benchmark), {"key": size_key(benchmark), **asdict(size)})
    return size
