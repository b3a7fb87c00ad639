"""What a method is: a frozen value with its options as fields, and one of four contracts.

A similarity compares queries with training images directly, a patch method place by place. A kernel
method says how it weighs training images in the shared kernel (`diffattr.attribution.kernel`). A
retraining method reads what models trained on subsets lose on the queries. The lambda path, models,
shards and files are not their business.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from diffattr import plugins
from diffattr.attribution.kernel import Kernel, KernelAttribution, Spectrum, TrainSide
from diffattr.config import ConfigError

Reads = Literal["features", "pixels", "embedding", "losses", "files"]
OPTION = {"option": True}
"""Metadata of the fields that a config may set under `options`."""
M = TypeVar("M", bound="Method")


@runtime_checkable
class Attribution(Protocol):
    """Scores of one method for one query split: positive = the image lowers the query's loss."""

    @property
    def n_train(self) -> int:
        """The number of training images."""
        ...

    def scores(self, lam: float | None) -> Float64[np.ndarray, "query train"]:
        """Return tau; `lam` is None for a method without lambda."""
        ...

    def predictions(
        self, masks: Bool[np.ndarray, "subset train"], lams: Sequence[float | None]
    ) -> Float32[np.ndarray, "lambda subset query"]:
        """Return, per lambda, the sum of the scores of each subset's training images."""
        ...


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """What every method is; the fields say what it needs of a benchmark.

    `output_function` is the one that the method is named for, None where any will do;
    `unit_gradients` asks for a pass that scales each timestep's gradient to length 1;
    `over` whether its scores are a mean over checkpoints by nature, and `weights` how they weigh;
    `follows_trajectory` takes queries along their sampling trajectory; `reads_losses` weighs
    training images by the losses that a gradient pass sees on its way; `curvature` asks for a pass
    in the eigenbasis of a curvature, which then takes the kernel's place; `plugin` is the plug-in's
    name, None for ours.
    """

    reads: Reads
    output_function: str | None = None
    unit_gradients: bool = False
    over: Literal["any", "checkpoints"] = "any"
    weights: Literal["equal", "learning-rate"] = "equal"
    follows_trajectory: bool = False
    reads_losses: bool = False
    curvature: bool = False
    plugin: str | None = None

    @property
    def has_lambda(self) -> bool:
        """Whether scores depend on a lambda that has to be selected."""
        return False


@dataclass(frozen=True, kw_only=True)
class Similarity(Method):
    """A method without lambda."""

    @abstractmethod
    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return tau from features, embeddings or flattened pixels."""


@dataclass(frozen=True, kw_only=True)
class PatchMethod(Method):
    """A method that compares noised images place by place, and can say where the reasons lie."""

    reads: Reads = "pixels"
    timestep: int = field(default=100, metadata=OPTION)

    @abstractmethod
    def scores_of_images(
        self,
        train: Float32[np.ndarray, "train channel height width"],
        queries: Float32[np.ndarray, "query channel height width"],
        abar: float,
    ) -> Float64[np.ndarray, "query train"]:
        """Return tau; `abar` is the product of alphas up to `timestep`."""

    @abstractmethod
    def maps(
        self,
        train: Float32[np.ndarray, "train channel height width"],
        query: Float32[np.ndarray, "channel height width"],
        positions: Sequence[int],
        abar: float,
    ) -> Float64[np.ndarray, "position height width"]:
        """Return what each place of one query adds to the scores of some training images."""


@dataclass(frozen=True, kw_only=True)
class KernelMethod(Method):
    """A method that solves with the ridge-regularised kernel of its feature set."""

    reads: Reads = "features"

    @property
    def fixed_ridge(self) -> float | None:
        """An absolute ridge in place of a lambda path, None for a method with a path."""
        return None

    @property
    def has_lambda(self) -> bool:
        """Whether there is a path; else the ridge is fixed."""
        return self.fixed_ridge is None

    def train_weights(
        self,
        train: TrainSide,
        ridge: float,  # noqa: ARG002
    ) -> Float64[np.ndarray, " train"]:
        """Return w of the kernel's formula, at an absolute ridge; ones leave it as it stands."""
        return np.ones(len(train.factor))


@dataclass(frozen=True, kw_only=True)
class RetrainingMethod(Method):
    """A method that learns from models retrained on subsets; there is nothing but their losses."""

    reads: Reads = "losses"

    @property
    def least_models(self) -> int:
        """The number of models below which there is nothing to learn from."""
        return 2

    @abstractmethod
    def scores_from_losses(
        self,
        masks: Bool[np.ndarray, "subset train"],
        losses: Float64[np.ndarray, "subset query"],
    ) -> Float64[np.ndarray, "query train"]:
        """Return tau from each query's loss under the model of each subset."""


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
    """Return what a method says; the answer of a plug-in is held against the contract first.

    Raises:
        PluginError: it raised something, or the answer is not of finite numbers in this shape.
    """
    if method.plugin is None:
        return ask(*given)
    return plugins.checked(method.plugin, plugins.call(method.plugin, ask, *given), shape)


@dataclass(frozen=True)
class DenseAttribution:
    """Scores that were computed whole."""

    tau: Float64[np.ndarray, "query train"]

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return self.tau.shape[1]

    def scores(self, lam: float | None) -> Float64[np.ndarray, "query train"]:
        """Return tau."""
        assert lam is None
        return self.tau

    def predictions(
        self, masks: Bool[np.ndarray, "subset train"], lams: Sequence[float | None]
    ) -> Float32[np.ndarray, "lambda subset query"]:
        """Return the sums of scores, with a lambda axis of length 1."""
        assert list(lams) == [None]
        return (masks.astype(np.float64) @ self.tau.T)[None].astype(np.float32)


@dataclass(frozen=True)
class MeanAttribution:
    """The weighted mean over several models (checkpoints, an ensemble) of one method's scores.

    Lambda is relative to each model's own kernel, so one lambda suits models whose gradients differ
    in length.
    """

    parts: Sequence[Attribution]
    weights: Sequence[float]

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return self.parts[0].n_train

    def scores(self, lam: float | None) -> Float64[np.ndarray, "query train"]:
        """Return the mean of tau."""
        return self._mean([part.scores(lam) for part in self.parts])

    def predictions(
        self, masks: Bool[np.ndarray, "subset train"], lams: Sequence[float | None]
    ) -> Float32[np.ndarray, "lambda subset query"]:
        """Return the mean of the sums of scores."""
        sums = [part.predictions(masks, lams).astype(np.float64) for part in self.parts]
        return self._mean(sums).astype(np.float32)

    def _mean(self, members: Sequence[np.ndarray]) -> np.ndarray:
        total = sum(w * member for w, member in zip(self.weights, members, strict=True))
        return np.asarray(total / sum(self.weights))


def attribute(
    method: Method,
    train: Float[np.ndarray, "train dim"],
    queries: Float[np.ndarray, "query dim"],
    kernel: Spectrum | None = None,
    losses: Float[np.ndarray, "train timestep"] | None = None,
) -> Attribution:
    """Return the attribution of one query split at one model.

    `kernel` is that of the training features, `losses` are those of the training images on the way
    of the gradient pass, for a method that weighs with them.
    """
    if isinstance(method, KernelMethod):
        kernel = kernel or Kernel.from_features(train)
        query_factor, train_factor = kernel.factors(train, queries)
        side = TrainSide(kernel, train_factor, losses)

        def weights(train: TrainSide, ridge: float) -> Float64[np.ndarray, " train"]:
            return answer(method, method.train_weights, train, ridge, shape=(len(train.factor),))

        return KernelAttribution(query_factor, side, weights, method.fixed_ridge)
    assert isinstance(method, Similarity)
    shape = len(queries), len(train)
    return DenseAttribution(answer(method, method.scores, train, queries, shape=shape))
