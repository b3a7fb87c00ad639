"""The viewer of a benchmark's queries: what it shows, gathered from the artifacts."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import Arrays, read_array, read_arrays, read_json
from diffattr.benchmark import Benchmark
from diffattr.report import formats
from diffattr.report.viewer import Method, Split, Train, write
from diffattr.report.viewer.content import Label, Maps


def write_viewer(
    directory: str | Path,
    benchmark: Benchmark,
    numbers: Mapping[str, Any],
    images: Mapping[str, Float[np.ndarray, "_ channel height width"]],
) -> None:
    """Write the folder in which every query of the benchmark can be looked at.

    For one's own model with the names of its images and classes in the place of numbers.
    """
    paths = benchmark.paths
    tables = {table["split"]: table for table in numbers["lds"]}
    named = None if benchmark.own is None else read_json(paths.names())
    words = formats.SPLIT_WORDS if benchmark.own is None else formats.OWN_SPLIT_WORDS

    def labels(split: str) -> Sequence[Label] | None:
        if not benchmark.has_labels(split):
            return None
        found = read_array(paths.labels(split)).tolist()
        return found if named is None else class_names(found, named["classes"])

    def ids(split: str) -> list[int | str]:
        if named is not None and split in named["images"]:
            return named["images"][split]
        return read_array(paths.indices(split)).tolist()

    def lds(split: str) -> dict[str, list[float]] | None:
        if split not in tables:
            return None
        return {row["name"]: row["per_query"] for row in tables[split]["methods"]}

    def order(split: str) -> list[str]:
        own = benchmark.methods_of(split)
        if not tables:
            return own
        # Planted queries have no LDS; they are shown in the order of val, whose lambda they take.
        ranking = [row["name"] for row in tables.get(split, tables["val"])["methods"]]
        return sorted(own, key=lambda name: ranking.index(name) if name in ranking else len(own))

    splits = [
        Split(
            split,
            words[split],
            order(split),
            ids(split),
            labels(split),
            lds(split),
            numbers["planted"]["copies"] if split == "planted" else None,
            "noise number" if split == "gen" else "image",
        )
        for split in benchmark.query_splits
    ]
    write(
        directory,
        numbers["name"],
        [Method(m["name"], m["needs"], m["features"]) for m in numbers["methods"]],
        Train(ids("train"), labels("train")),
        splits,
        images,
        lambda method, split: read_arrays(paths.scores(method, split))["scores"],
        maps=_maps_of(benchmark),
        top=benchmark.config.report.top,
        report="../index.html",
    )


def class_names(labels: Sequence[int], classes: Sequence[str]) -> list[str] | None:
    """Return the names of labels, `none` for label -1; None where there is one class alone."""
    if len(classes) == 1:
        return None
    return ["none" if label < 0 else classes[label] for label in labels]


def _maps_of(benchmark: Benchmark) -> Maps | None:
    """Return what gives a method's maps, between 0 and the largest of the query's, if any has."""
    paths = benchmark.paths
    if not any(benchmark.mapped_splits_of(name) for name in benchmark.named_methods):
        return None

    @cache
    def stored_maps(method: str, split: str) -> Arrays | None:
        if split not in benchmark.mapped_splits_of(method):
            return None
        return read_arrays(paths.maps(method, split))

    def maps(
        method: str, split: str, query: int, positions: list[int]
    ) -> Float[np.ndarray, "train height width"] | None:
        found = stored_maps(method, split)
        if found is None:
            return None
        of_query = found["maps"][query]
        places = {position: place for place, position in enumerate(found["positions"][query])}
        return of_query[[places[position] for position in positions]] / max(of_query.max(), 1e-30)

    return maps
