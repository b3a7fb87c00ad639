"""What every method answers about itself, whatever its contract.

Benchmark, plan and jobs ask a method, and never which contract it has: which keys of a config it
takes and what is wrong with them, which artifacts it reads for a split, what its scores cost, and
the scores themselves. A new contract is a subclass of `Method` with its own answers.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
import numpy as np
from jaxtyping import Float

from diffattr import plugins
from diffattr.attribution.scores import Attribution
from diffattr.config import ConfigError, MethodOptions, Pass

OPTION = {"option": True}
"""Metadata of the fields that a config may set under `options`."""
Reads = Literal["features", "pixels", "embedding", "losses", "files"]
Needs = Literal["no gradients", "gradients", "checkpoints", "retraining", "computed elsewhere"]
"""What scores cost beyond the model that is asked about; the report groups methods by it."""
KEYS: dict[str, Reads] = {
    "features": "features",
    "checkpoints": "features",
    "ensemble": "features",
    "embedding": "embedding",
    "models": "losses",
}
"""Keys of a config's method that only some methods take, and what these read."""
_NEEDS: dict[Reads, Needs] = {
    "features": "gradients",
    "pixels": "no gradients",
    "embedding": "no gradients",
    "losses": "retraining",
    "files": "computed elsewhere",
}
M = TypeVar("M", bound="Method")
_Split = _Name = _Pass = _Function = _Model = str


@dataclass(frozen=True, kw_only=True)
class Available:
    """What a benchmark has that methods may need.

    `n_timesteps` are those of the noise schedule, `n_retrained` counts the subsets of the group
    `retrain`; LDS is measured on `measured_splits`, which are none where nothing is measured.
    """

    passes: Mapping[str, Pass]
    embeddings: Collection[str]
    n_timesteps: int
    n_retrained: int
    query_splits: Collection[str]
    measured_splits: Collection[str]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one method of a config reads, as the keys of its section say.

    `models` names where features are computed, with the weight of each in the mean of scores; both
    are empty for a method that reads none. `n_retrained` is how many retrained models a
    retraining-based method learns from, None for others.
    """

    gradient_pass: str | None = None
    output_function: str | None = None
    embedding: str | None = None
    models: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    n_retrained: int | None = None

    @property
    def feature_set(self) -> tuple[str, str]:
        """Pass and output function of a method that reads features."""
        assert self.gradient_pass is not None
        assert self.output_function is not None
        return self.gradient_pass, self.output_function


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the artifacts lie that methods may read.

    `features` and `trajectory_features` return shards, the latter of generated images along their
    sampling trajectories; `measurements` are the retrained models' losses on a split, and `subsets`
    what these models were trained on.
    """

    indices: Callable[[_Split], str]
    images: Callable[[_Split], str]
    embedding: Callable[[_Name, _Split], str]
    features: Callable[[_Pass, _Split, _Model], list[str]]
    trajectory_features: Callable[[_Pass, _Model], list[str]]
    kernel: Callable[[_Pass, _Function, _Model], str]
    curvature: Callable[[_Pass, _Model], str]
    measurements: Callable[[_Split], str]
    subsets: Callable[[], list[str]]


@dataclass(frozen=True)
class ScoringWork:
    """What scoring costs: bytes in memory at once, and floating-point operations."""

    held: int
    operations: int


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """What every method is: a frozen value with its options as fields.

    Its other fields say what it needs of a benchmark. `output_function` is the one that the method
    is named for, None where any will do; `unit_gradients` asks for a pass that scales each
    timestep's gradient to length 1; `over` whether its scores are a mean over checkpoints by
    nature, and `weights` how they weigh; `follows_trajectory` takes queries along their sampling
    trajectory; `curvature` asks for a pass in the eigenbasis of a curvature, which then takes the
    kernel's place; `plugin` is the plug-in's name, None for built-in methods.
    """

    reads: Reads
    output_function: str | None = None
    unit_gradients: bool = False
    over: Literal["any", "checkpoints"] = "any"
    weights: Literal["equal", "learning-rate"] = "equal"
    follows_trajectory: bool = False
    curvature: bool = False
    plugin: str | None = None

    readable: ClassVar[tuple[Reads, ...]]
    """What `reads` may be."""
    solves: ClassVar[bool] = False
    """Whether the method solves with a kernel, or with what stands for one."""
    noises: ClassVar[bool] = False
    """Whether the method noises images itself, and so depends on the noise schedule."""
    has_maps: ClassVar[bool] = False
    """Whether the method can say where in a query its reasons lie (`maps`)."""

    @property
    def has_lambda(self) -> bool:
        """Whether scores depend on a lambda that has to be selected."""
        return False

    @property
    def least_models(self) -> int:
        """The number of retrained models below which it cannot learn; 0 if it reads none."""
        return 0

    @property
    def keys(self) -> Collection[str]:
        """Which of `KEYS` a config may set for the method."""
        return [key for key, read in KEYS.items() if read == self.reads]

    @property
    def needs(self) -> Needs:
        """The group in the report of the method at the finished model alone."""
        return _NEEDS[self.reads]

    def errors(self, options: MethodOptions, available: Available) -> Iterator[str]:  # noqa: ARG002
        """Yield what the method needs and the benchmark lacks; each line starts with the key."""
        yield from ()

    def unanswered(self, split: str) -> str | None:
        """Return why the queries of a split get no scores, None if they get some."""
        if self.follows_trajectory and split != "gen":
            return "follows the sampling trajectory, which only generated queries have"
        return None

    @abstractmethod
    def inputs(self, reading: Reading, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return the files that the scores of one split are made from, by what they are.

        Of several models, the files of one model follow those of the other. The benchmark asks
        only for splits that are not `unanswered`.
        """

    @abstractmethod
    def attribution(self, params: Mapping[str, Any], inputs: Any) -> Attribution:
        """Return the attribution of one split.

        Args:
            params: what `Benchmark.method_params` says.
            inputs: the files that `inputs` names, as attributes.

        Raises:
            ArtifactError: a file is damaged, or the files do not belong together.
            PluginError: the method is a plug-in, and raised or broke its contract.
        """

    def attribute(
        self,
        train: Float[np.ndarray, "train dim"],  # noqa: ARG002
        queries: Float[np.ndarray, "query dim"],  # noqa: ARG002
        **further: Any,  # noqa: ARG002
    ) -> Attribution:
        """Return the attribution of one query split at one model, from vectors.

        `further` is what only some contracts use: see `KernelMethod`.

        Raises:
            ConfigError: the method does not compare vectors.
            PluginError: the method is a plug-in, and raised or broke its contract.
        """
        raise ConfigError(f"method: {type(self).__name__} does not compare vectors")

    def work(
        self, n_train: int, n_queries: int, dim: int, n_models: int = 1, n_products: int = 0
    ) -> ScoringWork:
        """Return the cost of one split's scores.

        Args:
            n_train: the number of training images.
            n_queries: the number of queries.
            dim: how many numbers are read of each image.
            n_models: at how many models.
            n_products: how many scores, or sums of scores, are computed per query.
        """
        # Vectors as float32 and float64, and again as float64 factors; a matrix of scores.
        held = (n_train + n_queries) * dim * 28 + n_queries * n_train * 12
        return ScoringWork(held, 2 * n_models * n_queries * dim * n_products)


def with_options(method: M, options: Mapping[str, Any]) -> M:
    """Return a method with some of its options set.

    Raises:
        ConfigError: an option does not exist, or has a value that it does not take; the message
            starts with the option's name.
    """
    fields = {f.name: f for f in dataclasses.fields(method) if f.metadata == OPTION}
    known = ", ".join(sorted(fields)) or "none"
    values = {}
    for name, value in options.items():
        if name not in fields:
            raise ConfigError(f"{name}: unknown option (known here: {known})")
        try:
            values[name] = msgspec.convert(value, fields[name].type)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name}: found {value!r}: {error}") from error
    try:
        return dataclasses.replace(method, **values)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def answer(
    method: Method, ask: Callable[..., np.ndarray], *given: Any, shape: tuple[int, ...]
) -> np.ndarray:
    """Return what a method says; the answer of a plug-in is checked against the contract first.

    Raises:
        PluginError: it raised something, or the answer is not of finite numbers in this shape.
    """
    if method.plugin is None:
        return ask(*given)
    return plugins.checked(method.plugin, plugins.call(method.plugin, ask, *given), shape)
