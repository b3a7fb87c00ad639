"""The files of a report: what it is made from, and what it consists of.

Rule build_report declares them from here, and the report reads its inputs through `Inputs`, so that
no artifact is read that Snakemake does not know of.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from diffattr.artifacts import Arrays, read_array, read_arrays, read_json, read_struct
from diffattr.benchmark import Benchmark

Key = tuple[str | int, ...]
T = TypeVar("T")


def input_files(benchmark: Benchmark) -> dict[str, dict[Key, str]]:
    """Return the path of every input of the report, by kind and key.

    Keys are (method, split) for `lds`, `scores`, `audits` and `maps`; (split,) for `images`,
    `indices` and `labels`; (gradient pass,) for `checks`; (group, block) for `outcomes`, those of
    the first training seed; and () for `names`, `planted` and `counterfactual`. Sweep cells have
    LDS only.
    """
    paths, named = benchmark.paths, benchmark.splits.named
    splits = ("train", *benchmark.splits.queries)
    measurement = benchmark.config.measurement
    audited = named if measurement is not None and measurement.lds.powers else []
    mapped = [name for name in named if benchmark.methods[name].method.has_maps]
    removals = benchmark.counts.removals

    def of_methods(
        path: Callable[[str, str], str],
        methods: Iterable[str],
        splits_of: Callable[[str], list[str]],
    ) -> dict[Key, str]:
        return {(name, split): path(name, split) for name in methods for split in splits_of(name)}

    return {
        "lds": of_methods(paths.lds, benchmark.methods, benchmark.splits.lds_of),
        "scores": of_methods(paths.scores, named, benchmark.splits.of),
        "audits": of_methods(paths.audit, audited, benchmark.splits.lds_of),
        "maps": of_methods(paths.maps, mapped, benchmark.splits.of),
        "checks": {(name,): paths.check(name) for name in benchmark.passes},
        "images": {(split,): benchmark.inputs.images(split) for split in splits},
        "indices": {(split,): paths.indices(split) for split in splits},
        # Queries that were generated without conditioning have no class.
        "labels": {
            (split,): paths.labels(split)
            for split in splits
            if split != "gen" or benchmark.models.text_conditioned is not None
        },
        "names": {(): paths.names()},
        "planted": {(): paths.planted()} if "planted" in splits else {},
        "counterfactual": {(): paths.counterfactual()} if removals else {},
        "outcomes": {
            (removal.group, block): paths.outcomes(
                removal.group, benchmark.counts.group(removal.group).seeds[0], block
            )
            for removal in removals
            for block in benchmark.counts.blocks(removal.group)
        },
    }


def output_files(benchmark: Benchmark) -> dict[str, str]:
    """Return the path of every output of the report; some parts exist only where they apply."""
    names = {
        "page": "index.html",
        "numbers": "report.json",
        "proponents": "proponents.csv",
        "viewer": "queries",
    }
    if benchmark.splits.lds:
        names["table"] = "lds.txt"
    if benchmark.cells:
        names["sweeps"] = "sweeps.html"
    if benchmark.counts.removals:
        names["redrawn"] = "counterfactual.html"
    return {part: benchmark.paths("report", name) for part, name in names.items()}


@dataclass(frozen=True)
class Inputs:
    """The artifacts that a report is made from; each is read by its kind and key."""

    files: Mapping[str, Mapping[Key, str]]

    @property
    def paths(self) -> list[str]:
        """Every file."""
        return [path for files in self.files.values() for path in files.values()]

    def json(self, kind: str, *key: str | int) -> Any:
        """Return the content of a JSON file.

        Raises:
            KeyError: there is no such input.
            ArtifactError: the file is missing or damaged.
        """
        return read_json(self.files[kind][key])

    def struct(self, of: type[T], kind: str, *key: str | int) -> T:
        """Return the content of a JSON file as a value of a type. Raises as `json` does."""
        return read_struct(self.files[kind][key], of)

    def array(self, kind: str, *key: str | int, mmap: bool = False) -> np.ndarray:
        """Return an array; with `mmap` only what is used is read. Raises as `json` does."""
        return read_array(self.files[kind][key], mmap=mmap)

    def arrays(self, kind: str, *key: str | int) -> Arrays:
        """Return named arrays. Raises as `json` does."""
        return read_arrays(self.files[kind][key])

    @property
    def names(self) -> Mapping[str, list[str]]:
        """The names of images, by split; generated images have none."""
        return self._names["images"]

    def ids(self, split: str) -> list[str] | list[int]:
        """Return the names of a split's images, the numbers of their noise if they have none."""
        return self.names.get(split) or self.array("indices", split).tolist()

    def labels(self, split: str) -> list[str | None] | None:
        """Return the class name of each image of a split, None for an image without a class.

        None instead of the list where the split has no classes, or the data set has only one.
        """
        classes = self._names["classes"]
        if (split,) not in self.files["labels"] or len(classes) == 1:
            return None
        labels = self.array("labels", split).tolist()
        return [None if label < 0 else classes[label] for label in labels]

    @cached_property
    def _names(self) -> dict[str, Any]:
        return self.json("names")
