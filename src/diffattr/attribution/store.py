"""From files to attributions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from diffattr.artifacts import ArtifactError, as_list, read_array, read_arrays, write_arrays
from diffattr.attribution import method_of
from diffattr.attribution.base import (
    Attribution,
    DenseAttribution,
    KernelMethod,
    MeanAttribution,
    Method,
    PatchMethod,
    RetrainingMethod,
    answer,
    attribute,
    with_options,
)
from diffattr.attribution.ekfac import Diagonal
from diffattr.attribution.file_scores import FileScores, read_scores
from diffattr.attribution.kernel import Kernel
from diffattr.config import NoiseSchedule
from diffattr.data.subsets import membership, read_subsets
from diffattr.features.store import TIMESTEP_LOSSES, Features, read_shards, require_same_identity


def write_kernel(path: str | Path, kernel: Kernel, features: Features) -> None:
    """Write an eigendecomposition with the identity of the features it came from."""
    write_arrays(
        path,
        {"eigenvalues": kernel.eigenvalues, "eigenvectors": kernel.eigenvectors},
        {"form": kernel.form, "n_train": kernel.n_train, "identity": dict(features.identity)},
    )


def read_kernel(path: str | Path, train: Features) -> Kernel:
    """Return the kernel of training features.

    Raises:
        ArtifactError: it belongs to other features.
    """
    stored = read_arrays(path)
    own = Features(stored.path, train.values, stored.attribute("identity"))
    require_same_identity(train, own)
    form, n_train = stored.attribute("form"), stored.attribute("n_train")
    if n_train != len(train.values):
        raise ArtifactError(
            f"{path}: is a kernel of {n_train} training images, the features have"
            f" {len(train.values)}; remake it: snakemake --force {path}"
        )
    return Kernel(form, stored["eigenvalues"], stored["eigenvectors"], n_train)


def read_curvature(path: str | Path, train: Features) -> Diagonal:
    """Return the eigenvalues of the curvature in whose eigenbasis the features are.

    Raises:
        ArtifactError: the features are in another basis.
    """
    stored = read_arrays(path)
    own = {"kind": "curvature", **stored.attribute("identity")}
    if own != train.identity["projector"]:
        raise ArtifactError(
            f"{train.path}: its coordinates are those of {train.identity['projector']}, but {path}"
            f" is {own}; remake it: snakemake --force {train.path}"
        )
    eigenvalues, k = stored["eigenvalues"], train.values.shape[1]
    if eigenvalues.shape != (k,) or not np.isfinite(eigenvalues).all():
        raise ArtifactError(
            f"{path}: holds eigenvalues of shape {eigenvalues.shape}, {k} finite ones are expected;"
            f" remake it: snakemake --force {path}"
        )
    return Diagonal(eigenvalues.astype(np.float64))


def read_attribution(config: Mapping[str, Any], inputs: Any) -> Attribution:
    """Return a method's attribution of one split.

    `config` is what `Benchmark.method_params` says, `inputs` has the files that
    `Benchmark.method_inputs` names: images, embeddings or, one model after the other, feature
    shards and kernels; or measurements and subsets; or the scores themselves.

    Raises:
        ArtifactError: train, queries and kernel do not belong together.
    """
    method = with_options(method_of(config["method"]), config["options"])
    if isinstance(method, FileScores):
        n_queries, n_train = (len(read_array(path)) for path in (inputs.queries, inputs.train))
        return DenseAttribution(read_scores(inputs.file, n_queries, n_train))
    if isinstance(method, RetrainingMethod):
        return _retrained(method, config["n_retrained"], inputs)
    if isinstance(method, PatchMethod):
        train, queries = read_array(inputs.train), read_array(inputs.queries)
        given, shape = (train, queries, noised_to(method, config)), (len(queries), len(train))
        return DenseAttribution(answer(method, method.scores_of_images, *given, shape=shape))
    if config["output_function"] is None:
        train, queries = (_read_vectors(path) for path in (inputs.train, inputs.queries))
        if train.shape[1] != queries.shape[1]:
            raise ArtifactError(
                f"{inputs.queries}: holds vectors of {queries.shape[1]} numbers, {inputs.train} of"
                f" {train.shape[1]}; remake both: snakemake --force {inputs.queries} {inputs.train}"
            )
        return attribute(method, train, queries)
    weights = config["weights"]
    sides = [_per_model(paths, len(weights)) for paths in (inputs.train, inputs.queries)]
    kernels = [None] * len(weights)
    if isinstance(method, KernelMethod):
        kernels = as_list(inputs.kernels)
    parts = [
        _at_one_model(method, config["output_function"], *paths)
        for paths in zip(*sides, kernels, strict=True)
    ]
    return parts[0] if len(parts) == 1 else MeanAttribution(parts, weights)


def _read_vectors(path: str) -> Float[np.ndarray, "image dim"]:
    """Return images or embeddings as vectors.

    Raises:
        ArtifactError: some are not finite.
    """
    vectors = read_array(path)
    if not np.isfinite(vectors).all():
        raise ArtifactError(
            f"{path}: holds vectors that are not finite; remake it: snakemake --force {path}"
        )
    return vectors.reshape(len(vectors), -1)


def noised_to(method: PatchMethod, config: Mapping[str, Any]) -> float:
    """Return the product of alphas up to a patch method's timestep."""
    # Imports torch, which other methods do without.
    from diffattr.diffusion.noising import alphas_cumprod

    schedule = msgspec.convert(config["noise_schedule"], NoiseSchedule)
    return float(alphas_cumprod(schedule)[method.timestep])


def _at_one_model(
    method: Method,
    output_function: str,
    train_paths: Sequence[str],
    query_paths: Sequence[str],
    kernel_path: str | None,
) -> Attribution:
    train, queries = (read_shards(p, output_function) for p in (train_paths, query_paths))
    require_same_identity(train, queries)
    kernel = None
    if kernel_path is not None:
        read = read_curvature if method.curvature else read_kernel
        kernel = read(kernel_path, train)
    losses = read_shards(train_paths, TIMESTEP_LOSSES).values if method.reads_losses else None
    return attribute(method, train.values, queries.values, kernel, losses)


def _retrained(method: RetrainingMethod, n_models: int, inputs: Any) -> Attribution:
    """Return the attribution from the first `n_models` retrained models, mean over their seeds."""
    stored = read_arrays(inputs.measurements)
    losses = stored["measurements"].mean(axis=0)
    subsets = read_subsets(inputs.subsets)
    if losses.shape[0] != len(subsets):
        raise ArtifactError(
            f"{stored.path}: holds losses of {losses.shape[0]} models, there are {len(subsets)}"
            f" subsets; remake it: snakemake --force {stored.path}"
        )
    n_train = len(read_array(inputs.train, mmap=True))
    masks = membership(subsets[:n_models], n_train)
    losses = losses[:n_models]
    shape = losses.shape[1], n_train
    return DenseAttribution(answer(method, method.scores_from_losses, masks, losses, shape=shape))


def _per_model(paths: Any, n_models: int) -> list[list[str]]:
    """Return each model's shards, which stand one model after the other."""
    listed = as_list(paths)
    n_shards = len(listed) // n_models
    return [listed[start : start + n_shards] for start in range(0, len(listed), n_shards)]
