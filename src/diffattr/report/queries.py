"""The viewer of a benchmark's queries: what it shows, gathered from the artifacts."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import Arrays, read_array, read_arrays
from diffattr.benchmark import Benchmark
from diffattr.report.viewer import Maps, Split, Train, write

_WORDS = {"val": "held-out images", "gen": "generated images", "planted": "planted copies"}


def write_viewer(
    directory: str | Path,
    benchmark: Benchmark,
    numbers: Mapping[str, Any],
    images: Mapping[str, Float[np.ndarray, "_ channel height width"]],
) -> None:
    """Write the folder in which every query of the benchmark can be looked at."""
    paths = benchmark.paths
    tables = {table["split"]: table for table in numbers["lds"]}

    def labels(split: str) -> list[int] | None:
        return read_array(paths.labels(split)).tolist() if benchmark.has_labels(split) else None

    def ids(split: str) -> list[int]:
        return read_array(paths.indices(split)).tolist()

    def lds(split: str) -> dict[str, list[float]] | None:
        if split not in tables:
            return None
        return {row["name"]: row["per_query"] for row in tables[split]["methods"]}

    def order(split: str) -> list[str]:
        # Planted queries have no LDS; they are shown in the order of val, whose lambda they take.
        ranking = [row["name"] for row in tables.get(split, tables["val"])["methods"]]
        own = benchmark.methods_of(split)
        return sorted(own, key=lambda name: ranking.index(name) if name in ranking else len(own))

    splits = [
        Split(
            split,
            _WORDS[split],
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
        numbers["methods"],
        Train(ids("train"), labels("train")),
        splits,
        images,
        lambda method, split: read_arrays(paths.scores(method, split))["scores"],
        maps=maps_of(benchmark),
        top=benchmark.config.report.top,
        report="../index.html",
    )


def maps_of(benchmark: Benchmark) -> Maps | None:
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
