"""From files to attributions."""

from pathlib import Path
from typing import Any

from diffattr.artifacts import ArtifactError, read_array, read_arrays, write_arrays
from diffattr.attribution import METHODS
from diffattr.attribution.base import Attribution, KernelMethod, attribute
from diffattr.attribution.kernel import Kernel
from diffattr.features.store import Features, read_shards, require_same_identity


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


def read_attribution(method: str, output_function: str | None, inputs: Any) -> Attribution:
    """Return a method's attribution of one split.

    `inputs` has `train` and `queries` (arrays of images, or lists of feature shards) and, for a
    kernel method, `kernel`.

    Raises:
        ArtifactError: train, queries and kernel do not belong together.
    """
    chosen = METHODS[method]
    if output_function is None:
        images = [read_array(path) for path in (inputs.train, inputs.queries)]
        train, queries = (array.reshape(len(array), -1) for array in images)
        return attribute(chosen, train, queries)
    sides = [as_list(paths) for paths in (inputs.train, inputs.queries)]
    train, queries = (read_shards(paths, output_function) for paths in sides)
    require_same_identity(train, queries)
    kernel = read_kernel(inputs.kernel, train) if isinstance(chosen, KernelMethod) else None
    return attribute(chosen, train.values, queries.values, kernel)


def as_list(paths: Any) -> list[str]:
    """Return a list, whether one path or several were named."""
    return [paths] if isinstance(paths, str) else list(paths)
