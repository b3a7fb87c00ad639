"""Files that attributions read, and the refusal of files that do not belong together."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from diffattr.artifacts import ArtifactError, read_array, read_arrays, write_arrays
from diffattr.attribution.kernel import Kernel, Spectrum
from diffattr.data.subsets import membership, read_subsets
from diffattr.features.store import Features, require_same_identity


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
        ArtifactError: the file is damaged, or belongs to other features.
    """
    stored = read_arrays(path)
    require_same_identity(train, Features(stored.path, train.values, stored.attribute("identity")))
    form, n_train = stored.attribute("form"), stored.attribute("n_train")
    if n_train != len(train.values):
        raise ArtifactError(
            f"{path}: found a kernel of {n_train} training images, expected {len(train.values)};"
            f" rebuild it: snakemake --force {path}"
        )
    return Kernel(form, stored["eigenvalues"], stored["eigenvectors"], n_train)


def read_curvature(path: str | Path, train: Features) -> Spectrum:
    """Return the eigenvalues of the curvature in whose eigenbasis the features are.

    Raises:
        ArtifactError: the file is damaged, or the features are in another basis.
    """
    stored = read_arrays(path)
    expected = {"kind": "curvature", **stored.attribute("identity")}
    if expected != train.identity["projector"]:
        raise ArtifactError(
            f"{train.path}: its coordinates are those of {train.identity['projector']}, but {path}"
            f" is {expected}; rebuild it: snakemake --force {train.path}"
        )
    eigenvalues, k = stored["eigenvalues"], train.values.shape[1]
    if eigenvalues.shape != (k,) or not np.isfinite(eigenvalues).all():
        raise ArtifactError(
            f"{path}: found eigenvalues of shape {eigenvalues.shape}, expected {k} finite ones;"
            f" rebuild it: snakemake --force {path}"
        )
    return Spectrum("primal", eigenvalues.astype(np.float64))


def read_vectors(path: str) -> Float[np.ndarray, "image dim"]:
    """Return images or embeddings as vectors.

    Raises:
        ArtifactError: the file is damaged, or some of its numbers are not finite.
    """
    vectors = read_array(path)
    if not np.isfinite(vectors).all():
        raise ArtifactError(
            f"{path}: contains NaN or infinity; rebuild it: snakemake --force {path}"
        )
    return vectors.reshape(len(vectors), -1)


def read_retrained(
    inputs: Any, n_models: int
) -> tuple[Bool[np.ndarray, "subset train"], Float64[np.ndarray, "subset query"]]:
    """Return the training images of the first `n_models` models, as masks, and their losses.

    `inputs` has the files `measurements`, `subsets` and `train`. Losses are means over seeds.

    Raises:
        ArtifactError: a file is damaged, or there is not one subset per model.
    """
    stored = read_arrays(inputs.measurements)
    losses = stored["measurements"].mean(axis=0)
    subsets = read_subsets(inputs.subsets)
    if losses.shape[0] != len(subsets):
        raise ArtifactError(
            f"{stored.path}: found losses of {losses.shape[0]} models for {len(subsets)} subsets;"
            f" rebuild it: snakemake --force {stored.path}"
        )
    n_train = len(read_array(inputs.train, mmap=True))
    return membership(subsets[:n_models], n_train), losses[:n_models]
