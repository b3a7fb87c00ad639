"""Scores that were computed elsewhere, in one `.npy` file (query, train) per split.

A row is a query and a column a training image, in the order of the benchmark's `samples/`. A split
without a file gets no scores.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffattr.artifacts import ArtifactError, read_array
from diffattr.attribution.method import OPTION, Files, Method, Reads
from diffattr.attribution.scores import DenseAttribution
from diffattr.config import Config, MethodOptions


@dataclass(frozen=True, kw_only=True)
class FileScores(Method):
    """The files of the splits `val`, `gen` and `planted`, from the working directory."""

    reads: Reads = "files"
    val: str | None = field(default=None, metadata=OPTION)
    gen: str | None = field(default=None, metadata=OPTION)
    planted: str | None = field(default=None, metadata=OPTION)

    def __post_init__(self):
        for split, path in self.files.items():
            if not path.endswith(".npy"):
                raise ValueError(f"{split}: found {path}, expected a .npy file")

    @property
    def files(self) -> dict[str, str]:
        """The file of each split that gets scores."""
        named = {"val": self.val, "gen": self.gen, "planted": self.planted}
        return {split: path for split, path in named.items() if path is not None}

    def errors(self, options: MethodOptions, config: Config) -> Iterator[str]:  # noqa: ARG002
        """Yield which files are missing, and which have no queries."""
        data = config.data
        queries = {"val": data.n_val, "gen": config.sampling, "planted": data.n_planted}
        if config.measurement is not None and self.val is None and self.gen is None:
            yield "options: LDS is measured on val and gen, but neither has a file; add one"
        for split, path in self.files.items():
            if not queries[split]:
                yield f"options.{split}: found, but there are no queries of this split; remove it"
            elif not Path(path).is_file():
                yield f"options.{split}: {path} does not exist; write the scores of {split} there"

    def unanswered(self, split: str) -> str | None:
        """Return why a split without a file gets no scores."""
        return None if split in self.files else "has a file of scores for some splits only"

    def inputs(self, split: str, files: Files) -> dict[str, str | list[str]]:
        """Return the `file` of scores, and the indices of both sides, which give its shape."""
        return {
            "file": self.files[split],
            "queries": files.indices(split),
            "train": files.indices("train"),
        }

    def attribution(self, params: Mapping[str, Any], inputs: Any) -> DenseAttribution:  # noqa: ARG002
        """Return the scores as they are.

        Raises:
            ArtifactError: the file does not hold finite real numbers of this shape.
        """
        path, sides = inputs.file, (inputs.queries, inputs.train)
        shape = tuple(len(read_array(side)) for side in sides)
        try:
            found = read_array(path)
        except ArtifactError as error:
            raise ArtifactError(
                f"{path}: is not a readable .npy array of numbers ({error.__cause__});"
                " write it anew"
            ) from error
        if found.shape != shape:
            raise ArtifactError(
                f"{path}: found an array of shape {found.shape}, expected (query, train) ="
                f" {shape}; write it in the order of the benchmark's images"
            )
        if found.dtype.kind not in "fiu":
            raise ArtifactError(f"{path}: found {found.dtype}, expected real numbers")
        # Scores are stored as float32.
        if n_bad := np.count_nonzero(~(np.abs(found) <= np.finfo(np.float32).max)):
            raise ArtifactError(
                f"{path}: {n_bad} of {found.size} scores are NaN, infinite or too large for"
                " float32; write a finite number for each"
            )
        return DenseAttribution(found.astype(np.float64))
