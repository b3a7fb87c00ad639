"""The contracts: what the author of a method writes, and what follows from it.

A similarity compares queries with training images directly, a patch method place by place. A kernel
method says how it weighs training images in the shared kernel (`diffattr.attribution.kernel`). A
retraining method reads what models trained on subsets lose on the queries. The lambda path, models,
shards and files are not the business of a method: its contract reads them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from diffattr.artifacts import ArtifactError, as_list, read_array
from diffattr.attribution.kernel import Kernel, KernelAttribution, Spectrum, TrainSide
from diffattr.attribution.method import (
    OPTION,
    Available,
    Files,
    Method,
    Reading,
    Reads,
    ScoringWork,
    answer,
)
from diffattr.attribution.scores import Attribution, DenseAttribution, MeanAttribution
from diffattr.attribution.store import (
    read_curvature,
    read_kernel,
    read_retrained,
    read_vectors,
)
from diffattr.config import MethodOptions, NoiseSchedule
from diffattr.features.store import TIMESTEP_LOSSES, Features, read_shards, require_same_identity


@dataclass(frozen=True, kw_only=True)
class VectorMethod(Method):
    """A method that compares vectors: features, an embedding or pixels.

    Of features at several models, scores are the weighted mean.
    """

    readable: ClassVar[tuple[Reads, ...]] = ("features", "pixels", "embedding")
    per_model: ClassVar[tuple[str, ...]] = ("train", "queries")
    """The inputs of which there are some for each model."""

    def errors(self, options: MethodOptions, available: Available) -> Iterator[str]:
        """Yield what is wrong with the feature set or the embedding."""
        if self.reads == "features":
            yield from self._feature_errors(options, available)
        elif self.reads == "embedding" and options.embedding not in available.embeddings:
            defined = ", ".join(available.embeddings) or "none; add one under embeddings"
            yield f"embedding: {_found(options.embedding)}; defined: {defined}"

    def _feature_errors(self, options: MethodOptions, available: Available) -> Iterator[str]:
        passes = available.passes
        known = [f"{p}/{f}" for p in passes for f in passes[p].output_functions]
        if options.features is None or options.features not in known:
            yield f"features: {_found(options.features)}; defined: {', '.join(known)}"
            return
        name, _, found = options.features.partition("/")
        if self.output_function is not None and found != self.output_function:
            yield (
                f"features: found {found}, but method {options.method} is for"
                f" {self.output_function}"
            )
        if self.follows_trajectory and "gen" not in available.query_splits:
            yield f"method: {options.method} follows the sampler; add sampling, to generate images"
        if self.unit_gradients and not passes[name].unit_gradients:
            yield (
                f"features: pass {name} averages gradients as they are, but {options.method} needs"
                f" features.{name}.unit_gradients: true"
            )
        if self.curvature and passes[name].curvature is None:
            yield (
                f"features: pass {name} is not in the eigenbasis of a curvature, but"
                f" {options.method} needs features.{name}.curvature"
            )

    def inputs(self, reading: Reading, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return `train` and `queries`: a file each, or their shards."""
        if self.reads == "pixels":
            return {"train": files.images("train"), "queries": files.images(split)}
        if self.reads == "embedding":
            assert reading.embedding is not None
            sides = {"train": "train", "queries": split}
            return {side: files.embedding(reading.embedding, of) for side, of in sides.items()}
        name, _ = reading.feature_set
        train, queries = [], []
        for model in reading.models:
            train += files.features(name, "train", model)
            if self.follows_trajectory:
                queries += files.trajectory_features(name, model)
            else:
                queries += files.features(name, split, model)
        return {"train": train, "queries": queries}

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> Attribution:
        """Return the attribution of one split, the mean over its models."""
        if self.reads != "features":
            train, queries = (read_vectors(path) for path in (inputs.train, inputs.queries))
            if train.shape[1] != queries.shape[1]:
                raise ArtifactError(
                    f"{inputs.queries}: holds vectors of {queries.shape[1]} numbers,"
                    f" {inputs.train} of {train.shape[1]}; rebuild both: snakemake --force"
                    f" {inputs.queries} {inputs.train}"
                )
            return self.attribute(train, queries)
        weights = params["weights"]
        parts = [
            self._at_one_model(params["output_function"], model)
            for model in self._by_model(inputs, len(weights))
        ]
        return parts[0] if len(parts) == 1 else MeanAttribution(parts, weights)

    def _by_model(self, inputs: Any, n_models: int) -> Iterator[dict[str, list[str]]]:
        """Yield the files of each model, of lists in which one model follows the other."""
        listed = {name: as_list(getattr(inputs, name)) for name in self.per_model}
        for model in range(n_models):
            yield {
                name: paths[model * len(paths) // n_models : (model + 1) * len(paths) // n_models]
                for name, paths in listed.items()
            }

    def _at_one_model(self, output_function: str, files: Mapping[str, list[str]]) -> Attribution:
        train, queries = (
            read_shards(files[side], output_function) for side in ("train", "queries")
        )
        require_same_identity(train, queries)
        return self.attribute(train.values, queries.values, **self._further(train, files))

    def _further(self, train: Features, files: Mapping[str, list[str]]) -> dict[str, Any]:  # noqa: ARG002
        """Return what `attribute` is given of one model next to its features."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Similarity(VectorMethod):
    """A method without lambda."""

    @abstractmethod
    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return tau from features, embeddings or flattened pixels."""

    def attribute(
        self,
        train: Float[np.ndarray, "train dim"],
        queries: Float[np.ndarray, "query dim"],
        **further: Any,  # noqa: ARG002
    ) -> DenseAttribution:
        """Return `scores`."""
        shape = len(queries), len(train)
        return DenseAttribution(answer(self, self.scores, train, queries, shape=shape))


@dataclass(frozen=True, kw_only=True)
class KernelMethod(VectorMethod):
    """A method that solves with the ridge-regularised kernel of its feature set.

    `reads_losses` weighs training images by the losses on the way of the gradient pass.
    """

    reads: Reads = "features"
    readable: ClassVar[tuple[Reads, ...]] = ("features",)
    per_model: ClassVar[tuple[str, ...]] = ("train", "queries", "kernels")
    solves: ClassVar[bool] = True
    reads_losses: bool = False

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

    def attribute(
        self,
        train: Float[np.ndarray, "train dim"],
        queries: Float[np.ndarray, "query dim"],
        *,
        kernel: Spectrum | None = None,
        losses: Float[np.ndarray, "train timestep"] | None = None,
        **further: Any,  # noqa: ARG002
    ) -> KernelAttribution:
        """Return the scores at any lambda.

        `kernel` is that of the training features, computed where it is None; `losses` are those of
        the training images on the way of the gradient pass.
        """
        kernel = kernel or Kernel.from_features(train)
        query_factor, train_factor = kernel.factors(train, queries)

        def weights(train: TrainSide, ridge: float) -> Float64[np.ndarray, " train"]:
            return answer(self, self.train_weights, train, ridge, shape=(len(train.factor),))

        side = TrainSide(kernel, train_factor, losses)
        return KernelAttribution(query_factor, side, weights, self.fixed_ridge)

    def _feature_errors(self, options: MethodOptions, available: Available) -> Iterator[str]:
        yield from super()._feature_errors(options, available)
        name = (options.features or "").partition("/")[0]
        found = available.passes.get(name)
        if found is not None and found.curvature is not None and not self.curvature:
            yield (
                f"features: pass {name} is in the eigenbasis of a curvature, whose place"
                f" {options.method} has a kernel for; name another pass"
            )

    def inputs(self, reading: Reading, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return `train`, `queries` and, per model, `kernels`: or curvatures in their place."""
        name, output_function = reading.feature_set
        kernels = [
            files.curvature(name, model)
            if self.curvature
            else files.kernel(name, output_function, model)
            for model in reading.models
        ]
        return {**super().inputs(reading, split, files), "kernels": kernels}

    def _further(self, train: Features, files: Mapping[str, list[str]]) -> dict[str, Any]:
        read = read_curvature if self.curvature else read_kernel
        losses = read_shards(files["train"], TIMESTEP_LOSSES).values if self.reads_losses else None
        return {"kernel": read(files["kernels"][0], train), "losses": losses}

    def work(
        self, n_train: int, n_queries: int, dim: int, n_models: int = 1, n_products: int = 0
    ) -> ScoringWork:
        """Return the cost, with eigenvectors of the smaller Gram matrix."""
        rank = min(n_train, dim)
        held = (n_train + n_queries) * (dim * 20 + rank * 8) + n_queries * n_train * 12
        into_basis = n_train * dim + rank**2
        operations = 2 * n_models * n_queries * (into_basis + rank * n_products)
        return ScoringWork(held + rank**2 * 8, operations)


@dataclass(frozen=True, kw_only=True)
class PatchMethod(Method):
    """A method that compares noised images place by place, and can say where the reasons lie."""

    reads: Reads = "pixels"
    readable: ClassVar[tuple[Reads, ...]] = ("pixels",)
    timestep: int = field(default=100, metadata=OPTION)
    noises: ClassVar[bool] = True
    has_maps: ClassVar[bool] = True

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

    def errors(self, options: MethodOptions, available: Available) -> Iterator[str]:  # noqa: ARG002
        """Yield what is wrong with the timestep."""
        if self.timestep >= available.n_timesteps:
            yield (
                f"options.timestep: found {self.timestep}, allowed: below"
                f" noise_schedule.n_timesteps = {available.n_timesteps}"
            )

    def inputs(self, reading: Reading, split: str, files: Files) -> dict[str, str | list[str]]:  # noqa: ARG002
        """Return the images, `train` and `queries`."""
        return {"train": files.images("train"), "queries": files.images(split)}

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> DenseAttribution:
        """Return the scores of images that are noised to `timestep`."""
        train, queries = read_array(inputs.train), read_array(inputs.queries)
        given, shape = (train, queries, self.abar(params)), (len(queries), len(train))
        return DenseAttribution(answer(self, self.scores_of_images, *given, shape=shape))

    def abar(self, params: Mapping[str, Any]) -> float:
        """Return the product of alphas up to `timestep`, by the params' noise schedule."""
        # Imports torch, which other methods do without.
        from diffattr.diffusion.noising import alphas_cumprod

        schedule = msgspec.convert(params["noise_schedule"], NoiseSchedule)
        return float(alphas_cumprod(schedule)[self.timestep])


@dataclass(frozen=True, kw_only=True)
class RetrainingMethod(Method):
    """A method that learns from models retrained on subsets; there is nothing but their losses."""

    reads: Reads = "losses"
    readable: ClassVar[tuple[Reads, ...]] = ("losses",)

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

    def errors(self, options: MethodOptions, available: Available) -> Iterator[str]:
        """Yield what is wrong with the number of models."""
        count = available.n_retrained
        if count == 0:
            yield (
                f"method: {options.method} learns from retrained models, and this benchmark has"
                " none; set subsets.retrain.count"
            )
            return
        n_models = options.models or count
        if n_models > count:
            yield f"models: found {n_models}, but subsets.retrain.count is {count}; raise it"
        if n_models < self.least_models:
            yield f"models: found {n_models}, {options.method} needs at least {self.least_models}"

    def inputs(self, reading: Reading, split: str, files: Files) -> dict[str, str | list[str]]:  # noqa: ARG002
        """Return the retrained models' `measurements` and `subsets`, and the indices of `train`."""
        return {
            "subsets": files.subsets(),
            "measurements": files.measurements(split),
            "train": files.indices("train"),
        }

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> DenseAttribution:
        """Return the scores from the first retrained models, mean over their seeds."""
        masks, losses = read_retrained(inputs, params["n_retrained"])
        shape = losses.shape[1], masks.shape[1]
        return DenseAttribution(answer(self, self.scores_from_losses, masks, losses, shape=shape))


def _found(value: str | None) -> str:
    return "this key is missing" if value is None else f"found {value!r}"
