"""Sections about features and the methods that read them."""

from typing import Annotated, Any, Literal

from diffattr.config.base import (
    UNIQUE,
    Integers,
    NonNegative,
    OutputFunction,
    Positive,
    PositiveFloat,
    Section,
    Share,
    registered,
)


class ProjectorOptions(Section, frozen=True):
    """The random projection of gradients to k dimensions."""

    kind: Annotated[str, registered("projectors")]
    seed: NonNegative = 0
    k: Positive | None = None
    nonzeros: Positive = 1


class Pass(Section, frozen=True):
    """One gradient pass; its output functions share the forward pass and the artifact.

    `noise`: with `common`, all images of all splits share the noise of each timestep and draw, so
    that a query and a training image are compared under the same noise; with `per-image`, every
    image has different noise.
    """

    n_timesteps: Positive
    noise: Literal["common", "per-image"]
    output_functions: Annotated[tuple[OutputFunction, ...], UNIQUE]
    projector: ProjectorOptions
    timesteps: Literal["uniform", "cumulative"] = "uniform"
    draws: Positive = 1
    unit_gradients: bool = False
    curvature: str | None = None

    @property
    def n_gradients(self) -> int:
        """The number of gradients per image."""
        return self.n_timesteps * self.draws


class Curvature(Section, frozen=True):
    """How EK-FAC is estimated: number of uniform timesteps, noise draws at each, K-FAC type."""

    n_timesteps: Positive
    draws: Positive
    approximation: Literal["expand", "reduce"]


class EmbeddingOptions(Section, frozen=True):
    """An embedding: a map from images to vectors that needs no gradients."""

    kind: Annotated[str, registered("embeddings")]
    options: dict[str, Any] = {}


class Ensemble(Section, frozen=True):
    """Models over which a method's scores are averaged.

    `full`: the full model and models trained likewise with the following seeds; `retrain`: the
    first models of the group `retrain`, each trained on a subset.
    """

    of: Literal["full", "retrain"]
    count: Positive


class MethodOptions(Section, frozen=True, rename={"lam": "lambda"}):
    """A named way to turn features, pixels or retrained losses into scores.

    Attributes:
        method: a built-in method or a plug-in.
        features: the pass and output function it reads, as `pass/output-function`; by default the
            method's own choice (docs/methods.md).
        embedding: the embedding it reads.
        checkpoints: shares of the full model's training at which features are computed; scores are
            averaged over them.
        ensemble: models at which features are computed; scores are averaged over them.
        models: number of models of the group `retrain` that a retraining-based method learns from.
        lam: lambda in units of the mean |phi|^2, or `rule` (docs/own-model.md), in a benchmark
            without measurement; otherwise LDS selects it.
        options: further settings of the method.
    """

    method: Annotated[str, registered("methods")]
    features: str | None = None
    embedding: str | None = None
    checkpoints: Annotated[tuple[Share, ...], UNIQUE] | None = None
    ensemble: Ensemble | None = None
    models: Positive | None = None
    lam: PositiveFloat | Literal["rule"] | None = None
    options: dict[str, Any] = {}


class Axes(Section, frozen=True, rename={"lam": "lambda"}):
    """The axes of a sweep; every combination of values is one cell.

    `checkpoint` is a share of the full model's training, `lambda` one of
    measurement.lambdas.relative.
    """

    output_function: Annotated[tuple[OutputFunction, ...], UNIQUE] | None = None
    n_timesteps: Annotated[tuple[Positive, ...], UNIQUE] | None = None
    k: Annotated[tuple[Positive, ...], UNIQUE] | None = None
    projector_seed: Integers | None = None
    checkpoint: Annotated[tuple[Share, ...], UNIQUE] | None = None
    lam: Annotated[tuple[PositiveFloat, ...], UNIQUE] | None = None


class Sweep(Section, frozen=True):
    """One method on variations of one feature set."""

    method: Annotated[str, registered("methods")]
    features: str
    over: Axes
