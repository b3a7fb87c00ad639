"""The work of a job, and the registry of work functions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from diffattr.benchmark import Benchmark
from diffattr.plan.network import FLOAT32, NetworkSize

Kind = Literal["network", "matrix", "light", "other"]
"""What a rule's jobs do: pass images through the network (training, gradients), compute with large
matrices, only light work without torch, or anything else."""


@dataclass(frozen=True)
class Group:
    """The jobs with which a job may be submitted as one cluster job.

    `name` is a group of `profiles/slurm`, which sets how many jobs are submitted together. `part`
    separates jobs of a group with different inputs: a cluster job waits for the inputs of all its
    members, and fails with any of them. `always` is for chains of jobs of one method, which
    Snakemake refuses to split; other jobs are grouped only if they are short.
    """

    name: str
    part: str
    always: bool = False


@dataclass(frozen=True)
class Work:
    """The work of one job.

    `forwards` and `backwards` count images through the network; a training step counts each image
    of its batch once in both. `n_bytes` are written and kept. `n_held` is the peak memory in bytes,
    without the interpreter, its libraries and the frozen part of a network. `algebra` is the number
    of floating-point operations outside the network.
    """

    model_steps: int = 0
    forwards: int = 0
    backwards: int = 0
    n_bytes: int = 0
    n_held: int = 0
    algebra: int = 0
    group: Group | None = None

    def gflops(self, size: NetworkSize) -> float:
        """Return the network's work; a backward pass costs two forward passes."""
        return (self.forwards + 2 * self.backwards) * size.forward_flops / 1e9


@dataclass(frozen=True)
class Scope:
    """What the work of one job follows from.

    `wildcards` may be Snakemake's object, which is a list: `get` finds a name in it, `in` does not.
    """

    benchmark: Benchmark
    network: NetworkSize
    wildcards: Mapping[str, str]

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return self.benchmark.config.data.n_train

    @property
    def n_images(self) -> int:
        """The number of images of the job's split."""
        return self.benchmark.counts.n_images(self.wildcards["split"])

    @property
    def image_bytes(self) -> int:
        """Bytes of one image as the network sees it."""
        return math.prod(self.benchmark.models.sample_shape) * FLOAT32

    @property
    def group(self) -> str:
        """The group of the job's subsets."""
        return self.wildcards.get("group") or self.wildcards["removal"]

    @property
    def n_models(self) -> int:
        """The number of models of the job's block; raises ConfigError if there is no such block."""
        return len(self.benchmark.counts.members(self.group, int(self.wildcards["block"])))


WorkFunction = Callable[[Scope], Work]
RULES: dict[str, tuple[Kind, WorkFunction]] = {}


def rule(kind: Kind, *more: str) -> Callable[[WorkFunction], WorkFunction]:
    """Register the work function of the rule of the same name, and of `more` rules."""

    def register(function: WorkFunction) -> WorkFunction:
        for name in (function.__name__, *more):
            RULES[name] = kind, function
        return function

    return register


def _registered(name: str) -> tuple[Kind, WorkFunction]:
    if name not in RULES:
        raise LookupError(
            f"rule {name}: found no work function of this name; add one, with @rule, to a module in"
            " src/diffattr/plan/work/"
        )
    return RULES[name]


def kind_of(rule: str) -> Kind:
    """Return what a rule's jobs do.

    Raises:
        LookupError: the rule has no work function.
    """
    return _registered(rule)[0]


def work_of(
    benchmark: Benchmark, size: NetworkSize, rule: str, wildcards: Mapping[str, str]
) -> Work:
    """Return the work of one job.

    Raises:
        LookupError: the rule has no work function.
        ConfigError: the benchmark has no such job.
    """
    return _registered(rule)[1](Scope(benchmark, size, wildcards))
