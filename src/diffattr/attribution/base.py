"""What a method is: a frozen value with its options as fields, and one of two contracts.

A similarity compares queries with training images directly. A kernel method says how it weighs
training images in the shared kernel (`diffattr.attribution.kernel`); the lambda path, shards and
files are not its business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from diffattr.attribution.kernel import Kernel, KernelAttribution

Reads = Literal["features", "pixels"]


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


@runtime_checkable
class Similarity(Protocol):
    """A method without lambda."""

    @property
    def reads(self) -> Reads:
        """What it compares or solves with."""
        ...

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return tau from features or flattened pixels."""
        ...


@runtime_checkable
class KernelMethod(Protocol):
    """A method that solves with the ridge-regularised kernel of its feature set."""

    @property
    def reads(self) -> Reads:
        """What it compares or solves with."""
        ...

    def train_weights(
        self, kernel: Kernel, train_factor: Float64[np.ndarray, "train rank"], ridge: float
    ) -> Float64[np.ndarray, " train"]:
        """Return w of the kernel's formula, at an absolute ridge."""
        ...


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


def attribute(
    method: Similarity | KernelMethod,
    train: Float[np.ndarray, "train dim"],
    queries: Float[np.ndarray, "query dim"],
    kernel: Kernel | None = None,
) -> Attribution:
    """Return the attribution of one query split; `kernel` is that of the training features."""
    if isinstance(method, KernelMethod):
        kernel = kernel or Kernel.from_features(train)
        return KernelAttribution(kernel, *kernel.factors(train, queries), method.train_weights)
    return DenseAttribution(method.scores(train, queries))
