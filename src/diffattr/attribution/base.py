"""The contracts: what the author of a method writes, and what follows from it.

A similarity compares queries with training images directly, a patch method place by place. A kernel
method weights training images in the shared kernel (`diffattr.attribution.kernel`). A retraining
method learns from the queries' losses under models trained on subsets. Lambda, models, shards and
files are left to the contract.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64
from tqdm import tqdm

from diffattr.artifacts import ArtifactError, as_list, read_array
from diffattr.attribution.kernel import Kernel, KernelAttribution, Spectrum, TrainSide, TrainWeights
from diffattr.attribution.method import OPTION, Files, Method, Reads, ScoringWork, answer
from diffattr.attribution.scores import (
    Attribution,
    DenseAttribution,
    MeanAttribution,
    QueryRows,
    Scores,
    TrainRows,
    highest,
)
from diffattr.attribution.store import read_curvature, read_kernel, read_retrained, read_vectors
from diffattr.config import Config, MethodOptions, NoiseSchedule
from diffattr.features.store import TIMESTEP_LOSSES, Features, read_shards, require_same_identity

TrainImages = Float32[np.ndarray, "train channel height width"]
QueryImages = Float32[np.ndarray, "query channel height width"]
QueryImage = Float32[np.ndarray, "channel height width"]
Maps = Float64[np.ndarray, "position height width"]
Masks = Bool[np.ndarray, "subset train"]
SubsetLosses = Float64[np.ndarray, "subset query"]


@dataclass(frozen=True, kw_only=True)
class VectorMethod(Method):
    """A method that compares vectors: features, an embedding or pixels.

    With features at several models, scores are the weighted mean.
    """

    readable: ClassVar[tuple[Reads, ...]] = ("features", "pixels", "embedding")

    def errors(self, options: MethodOptions, config: Config) -> Iterator[str]:
        """Yield what is wrong with the feature set or the embedding."""
        if self.reads == "features":
            yield from self._feature_errors(options, config)
        elif self.reads == "embedding" and options.embedding not in config.embeddings:
            defined = ", ".join(config.embeddings) or "none; add one under embeddings"
            yield f"embedding: {_found(options.embedding)}; defined: {defined}"

    def _feature_errors(self, options: MethodOptions, config: Config) -> Iterator[str]:
        passes, method = config.features, options.method
        known = [f"{name}/{f}" for name, p in passes.items() for f in p.output_functions]
        if options.features is None or options.features not in known:
            yield f"features: {_found(options.features)}; defined: {', '.join(known)}"
            return
        name, _, output_function = options.features.partition("/")
        if self.output_function not in (None, output_function):
            yield (
                f"features: found {output_function}, but method {method} is for"
                f" {self.output_function}"
            )
        if self.follows_trajectory and config.sampling is None:
            yield f"method: {method} follows the sampler; add sampling, to generate images"
        if self.unit_gradients and not passes[name].unit_gradients:
            yield (
                f"features: pass {name} averages gradients as they are, but {method} needs"
                f" features.{name}.unit_gradients: true"
            )
        if self.curvature and passes[name].curvature is None:
            yield (
                f"features: pass {name} is not in the eigenbasis of a curvature, but {method} needs"
                f" features.{name}.curvature"
            )

    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return `train` and `queries`: a file each, or the shards of all models."""
        find = {"pixels": files.samples, "embedding": files.embedding, "features": files.features}
        return {"train": find[self.reads]("train"), "queries": find[self.reads](split)}

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> Attribution:
        """Return the attribution of one split, the mean over its models."""
        if self.reads != "features":
            train, queries = (read_vectors(path) for path in (inputs.train, inputs.queries))
            if train.shape[1] != queries.shape[1]:
                raise ArtifactError(
                    f"{inputs.queries}: found vectors of {queries.shape[1]} numbers, but"
                    f" {inputs.train} has {train.shape[1]}; rebuild both: snakemake --force"
                    f" {inputs.queries} {inputs.train}"
                )
            return self.attribute(train, queries)
        weights, parts = params["weights"], []
        for model in range(len(weights)):

            def files(name: str, model: int = model) -> list[str]:
                paths = as_list(getattr(inputs, name))
                n = len(paths) // len(weights)
                return paths[model * n : (model + 1) * n]

            output_function = params["output_function"]
            train = read_shards(files("train"), output_function)
            queries = read_shards(files("queries"), output_function)
            require_same_identity(train, queries)
            further = self._further(train, files)
            parts.append(self.attribute(train.values, queries.values, **further))
        return parts[0] if len(parts) == 1 else MeanAttribution(parts, weights)

    @abstractmethod
    def attribute(self, train: TrainRows, queries: QueryRows, **further: Any) -> Attribution:
        """Return the attribution of one query split at one model.

        Raises:
            PluginError: the method is a plug-in, and raised or broke its contract.
        """

    def _further(self, train: Features, files: Callable[[str], list[str]]) -> dict[str, Any]:  # noqa: ARG002
        """Return the further arguments of `attribute` at one model."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Similarity(VectorMethod):
    """A method without lambda."""

    @abstractmethod
    def scores(self, train: TrainRows, queries: QueryRows) -> Scores:
        """Return tau from features, embeddings or flattened pixels."""

    def attribute(self, train: TrainRows, queries: QueryRows, **further: Any) -> DenseAttribution:  # noqa: ARG002
        """Return `scores`."""
        shape = len(queries), len(train)
        return DenseAttribution(answer(self, self.scores, train, queries, shape=shape))


@dataclass(frozen=True, kw_only=True)
class KernelMethod(VectorMethod):
    """A method that solves with the ridge-regularised kernel of its feature set.

    With `reads_losses` the training weights may use the losses that the gradient pass recorded.
    """

    reads: Reads = "features"
    readable: ClassVar[tuple[Reads, ...]] = ("features",)
    reads_losses: bool = False

    @property
    def fixed_ridge(self) -> float | None:
        """An absolute ridge in place of a lambda path, None for a method with a path."""
        return None

    @property
    def has_lambda(self) -> bool:
        """Whether there is a path; else the ridge is fixed."""
        return self.fixed_ridge is None

    def train_weights(self, train: TrainSide, ridge: float) -> TrainWeights:  # noqa: ARG002
        """Return w of the kernel's formula at an absolute ridge, 1 by default."""
        return np.ones(len(train.factor))

    def attribute(
        self,
        train: TrainRows,
        queries: QueryRows,
        *,
        kernel: Spectrum | None = None,
        losses: Float[np.ndarray, "train timestep"] | None = None,
        **further: Any,  # noqa: ARG002
    ) -> KernelAttribution:
        """Return the scores at any lambda.

        `kernel` is that of the training features, computed if None; `losses` are those that the
        gradient pass recorded for the training images.
        """
        kernel = kernel or Kernel.from_features(train)
        query_factor, train_factor = kernel.factors(train, queries)

        def weights(train: TrainSide, ridge: float) -> TrainWeights:
            return answer(self, self.train_weights, train, ridge, shape=(len(train.factor),))

        side = TrainSide(kernel, train_factor, losses)
        return KernelAttribution(query_factor, side, weights, self.fixed_ridge)

    def _feature_errors(self, options: MethodOptions, config: Config) -> Iterator[str]:
        yield from super()._feature_errors(options, config)
        name = (options.features or "").partition("/")[0]
        found = config.features.get(name)
        if found is not None and found.curvature is not None and not self.curvature:
            yield (
                f"features: pass {name} is in the eigenbasis of a curvature, but {options.method}"
                " solves with a kernel of plain features; name another pass"
            )

    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return `train`, `queries` and, per model, `kernels`, which may be curvatures."""
        return {**super().inputs(split, files), "kernels": files.kernels()}

    def _further(self, train: Features, files: Callable[[str], list[str]]) -> dict[str, Any]:
        read = read_curvature if self.curvature else read_kernel
        losses = read_shards(files("train"), TIMESTEP_LOSSES).values if self.reads_losses else None
        return {"kernel": read(files("kernels")[0], train), "losses": losses}

    def work(
        self, n_train: int, n_queries: int, dim: int, n_models: int = 1, n_products: int = 0
    ) -> ScoringWork:
        """Return the cost, with eigenvectors of the smaller Gram matrix."""
        rank = min(n_train, dim)
        n_held = (n_train + n_queries) * (dim * 20 + rank * 8) + n_queries * n_train * 12
        into_basis = n_train * dim + rank**2
        operations = 2 * n_models * n_queries * (into_basis + rank * n_products)
        return ScoringWork(n_held + rank**2 * 8, operations)


@dataclass(frozen=True, kw_only=True)
class PatchMethod(Method):
    """A method that compares noised images place by place, and so can map its scores."""

    reads: Reads = "pixels"
    readable: ClassVar[tuple[Reads, ...]] = ("pixels",)
    timestep: int = field(default=100, metadata=OPTION)
    noises: ClassVar[bool] = True
    has_maps: ClassVar[bool] = True

    @abstractmethod
    def scores_of_images(self, train: TrainImages, queries: QueryImages, abar: float) -> Scores:
        """Return tau; `abar` is the product of alphas up to `timestep`."""

    @abstractmethod
    def maps(
        self, train: TrainImages, query: QueryImage, positions: Sequence[int], abar: float
    ) -> Maps:
        """Return what each place of one query adds to the scores of some training images."""

    def errors(self, options: MethodOptions, config: Config) -> Iterator[str]:  # noqa: ARG002
        """Yield what is wrong with the timestep."""
        if self.timestep >= (n := config.noise_schedule.n_timesteps):
            yield (
                f"options.timestep: found {self.timestep}, allowed: below"
                f" noise_schedule.n_timesteps = {n}"
            )

    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return the images, `train` and `queries`."""
        return {"train": files.samples("train"), "queries": files.samples(split)}

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> DenseAttribution:
        """Return the scores of images that are noised to `timestep`."""
        train, queries = read_array(inputs.train), read_array(inputs.queries)
        arguments, shape = (train, queries, self.abar(params)), (len(queries), len(train))
        return DenseAttribution(answer(self, self.scores_of_images, *arguments, shape=shape))

    def top_maps(
        self,
        train: TrainImages,
        queries: QueryImages,
        scores: Float[np.ndarray, "query train"],
        top: int,
        abar: float,
    ) -> tuple[Int64[np.ndarray, "query shown"], Float32[np.ndarray, "query shown height width"]]:
        """Return each query's highest and lowest scored training images, and their maps.

        `top` of each, the highest first; ties are in order of position, as in the report.

        Raises:
            PluginError: the method is a plug-in, and raised or broke its contract.
        """
        positions = np.hstack([highest(scores, top), highest(-scores, top)])
        shape = positions.shape[1], *queries.shape[2:]
        pairs = zip(tqdm(queries, desc="maps", mininterval=10), positions, strict=True)
        maps = [
            answer(self, self.maps, train, query, chosen.tolist(), abar, shape=shape)
            for query, chosen in pairs
        ]
        return positions, np.stack(maps).astype(np.float32)

    def abar(self, params: Mapping[str, Any]) -> float:
        """Return the product of alphas up to `timestep`, by the params' noise schedule."""
        # Imports torch, which other methods do without.
        from diffattr.diffusion.noising import alphas_cumprod

        schedule = msgspec.convert(params["noise_schedule"], NoiseSchedule)
        return float(alphas_cumprod(schedule)[self.timestep])


@dataclass(frozen=True, kw_only=True)
class RetrainingMethod(Method):
    """A method that learns from the losses of models retrained on subsets."""

    reads: Reads = "losses"
    readable: ClassVar[tuple[Reads, ...]] = ("losses",)

    @property
    def least_models(self) -> int:
        """The smallest number of models that the method can learn from."""
        return 2

    @abstractmethod
    def scores_from_losses(self, masks: Masks, losses: SubsetLosses) -> Scores:
        """Return tau from each query's loss under the model of each subset."""

    def errors(self, options: MethodOptions, config: Config) -> Iterator[str]:
        """Yield what is wrong with the number of models."""
        count = 0 if config.measurement is None else config.measurement.subsets.retrain.count
        n_models = options.models or count
        if count == 0:
            yield (
                f"method: {options.method} learns from retrained models, and this benchmark has"
                " none; set measurement.subsets.retrain.count"
            )
        elif n_models > count:
            yield (
                f"models: found {n_models}, but measurement.subsets.retrain.count is {count};"
                " raise it"
            )
        elif n_models < self.least_models:
            yield f"models: found {n_models}, {options.method} needs at least {self.least_models}"

    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
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
