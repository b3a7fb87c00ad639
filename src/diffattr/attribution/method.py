"""The contract of every method.

The benchmark, the plan and jobs ask a method and never check which contract it has. A new contract
is a subclass of `Method` that answers four questions: which artifacts it reads for a split
(`inputs`), the scores that they give (`attribution`), what these cost (`work`) and what is wrong
with a config (`errors`).
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args

import msgspec
import numpy as np

from diffattr import plugins
from diffattr.attribution.scores import Attribution
from diffattr.config import Config, ConfigError, MethodOptions

OPTION = {"option": True}
"""Metadata of the fields that a config may set under `options`."""
Reads = Literal["features", "pixels", "embedding", "losses", "files"]
Needs = Literal["no gradients", "gradients", "checkpoints", "retraining", "computed elsewhere"]
"""What scores cost in addition to the full model; the report groups methods by it."""
KEYS: dict[Reads, tuple[str, ...]] = {
    "features": ("features", "checkpoints", "ensemble"),
    "embedding": ("embedding",),
    "losses": ("models",),
}
"""Keys of a config's method that only some methods accept, by what these methods read."""
_NEEDS: dict[Reads, Needs] = {
    "features": "gradients",
    "losses": "retraining",
    "files": "computed elsewhere",
}
M = TypeVar("M", bound="Method")


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the artifacts lie that one method of a config may read, most of them by split.

    Of the models at which a method's features are computed, `features` returns all shards of the
    first, then those of the next, and `kernels` a file each: a kernel, or the curvature in whose
    eigenbasis the features are. `measurements` are the retrained models' losses, `subsets` their
    training images.
    """

    indices: Callable[[str], str]
    samples: Callable[[str], str]
    embedding: Callable[[str], str]
    features: Callable[[str], list[str]]
    kernels: Callable[[], list[str]]
    measurements: Callable[[str], str]
    subsets: Callable[[], list[str]]


@dataclass(frozen=True)
class ScoringWork:
    """The cost of scoring: peak memory in bytes, and floating-point operations."""

    n_held: int
    operations: int


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A frozen value with the method's options as fields; the other fields state what it needs.

    Attributes:
        reads: what scores are computed from.
        output_function: the output function that the method is defined for, None for any.
        unit_gradients: requires a pass that scales each timestep's gradient to length 1.
        over: `checkpoints` where the method is by definition a mean over checkpoints.
        weights: the weights of these checkpoints.
        follows_trajectory: computes query features along the sampling trajectory.
        curvature: requires a pass in the eigenbasis of a curvature, which replaces the kernel.
        plugin: the plug-in's name, None for built-in methods.
    """

    reads: Reads
    output_function: str | None = None
    unit_gradients: bool = False
    over: Literal["any", "checkpoints"] = "any"
    weights: Literal["equal", "learning-rate"] = "equal"
    follows_trajectory: bool = False
    curvature: bool = False
    plugin: str | None = None

    readable: ClassVar[tuple[Reads, ...]] = get_args(Reads)
    """The values of `reads` that the contract supports."""
    noises: ClassVar[bool] = False
    """Whether the method noises images itself, and so depends on the noise schedule."""
    has_maps: ClassVar[bool] = False
    """Whether the method has `top_maps`, as a `PatchMethod` does."""

    @property
    def has_lambda(self) -> bool:
        """Whether scores depend on a lambda that has to be selected."""
        return False

    @property
    def needs(self) -> Needs:
        """The method's group in the report, if it is computed at the full model alone."""
        return _NEEDS.get(self.reads, "no gradients")

    def errors(self, options: MethodOptions, config: Config) -> Iterator[str]:  # noqa: ARG002
        """Yield what the method needs and the config lacks; each line starts with the key."""
        yield from ()

    def unanswered(self, split: str) -> str | None:
        """Return why the queries of a split get no scores, None if they get some."""
        if self.follows_trajectory and split != "gen":
            return "follows the sampling trajectory, which only generated queries have"
        return None

    @abstractmethod
    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return the files that the scores of one split are computed from, by name.

        Splits that are `unanswered` are never asked for.
        """

    @abstractmethod
    def attribution(self, params: Mapping[str, Any], inputs: Any) -> Attribution:
        """Return the attribution of one split.

        Args:
            params: the section `method` of the job's params (`diffattr.benchmark.params`).
            inputs: the files that `inputs` names, as attributes.

        Raises:
            ArtifactError: a file is damaged, or the files do not belong together.
            PluginError: the method is a plug-in, and raised or broke its contract.
        """

    def work(
        self, n_train: int, n_queries: int, dim: int, n_models: int = 1, n_products: int = 0
    ) -> ScoringWork:
        """Return the cost of one split's scores.

        `dim` numbers are read per image and model; `n_products` scores, or sums of scores, are
        computed per query.
        """
        # Vectors as float32 and float64, and again as float64 factors; a matrix of scores.
        n_held = (n_train + n_queries) * dim * 28 + n_queries * n_train * 12
        return ScoringWork(n_held, 2 * n_models * n_queries * dim * n_products)


def with_options(method: M, options: Mapping[str, Any]) -> M:
    """Return a method with some of its options set.

    Raises:
        ConfigError: an option does not exist, or its value is not allowed; the message starts with
            the option's name.
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


def ask(method: Method, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a method; whatever a plug-in's function raises becomes a PluginError."""
    if method.plugin is None:
        return function(*arguments)
    return plugins.call(method.plugin, function, *arguments)


def answer(
    method: Method, function: Callable[..., np.ndarray], *arguments: Any, shape: tuple[int, ...]
) -> np.ndarray:
    """Call a function of a method; the result of a plug-in is checked against the contract.

    Raises:
        PluginError: it raised an error, or did not return finite numbers of this shape.
    """
    found = ask(method, function, *arguments)
    return found if method.plugin is None else plugins.checked(method.plugin, found, shape)


def inputs_of(method: Method, split: str, files: Files) -> dict[str, str | list[str]]:
    """Return a method's `inputs`.

    Raises:
        PluginError: the method is a plug-in, and raised or returned something else.
    """
    found = ask(method, method.inputs, split, files)
    try:
        return msgspec.convert(found, dict[str, str | list[str]])
    except msgspec.ValidationError as error:
        raise plugins.PluginError(
            f"plug-in {method.plugin}: its inputs are not paths or lists of paths, by name: {error}"
        ) from error
