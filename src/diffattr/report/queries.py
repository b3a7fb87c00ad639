"""The viewer of a benchmark's queries: what it shows, gathered from the artifacts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import read_array, read_arrays
from diffattr.benchmark import Benchmark
from diffattr.report.viewer import Split, Train, write

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
        return None if split == "gen" else read_array(paths.labels(split)).tolist()

    def ids(split: str) -> list[int]:
        return read_array(paths.indices(split)).tolist()

    def lds(split: str) -> dict[str, list[float]] | None:
        if split not in tables:
            return None
        return {row["name"]: row["per_query"] for row in tables[split]["methods"]}

    def order(split: str) -> list[str]:
        # Planted queries have no LDS; they are shown in the order of val, whose lambda they take.
        ranking = [row["name"] for row in tables.get(split, tables["val"])["methods"]]
        return [name for name in ranking if split in benchmark.splits_of(name)]

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
        top=benchmark.config.report.top,
        report="../index.html",
    )
