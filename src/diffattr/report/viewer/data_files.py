"""The viewer's data: scripts that call `loaded(name, value)`.

A page opened from disk may run a script beside it, but not read a file.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from diffattr.artifacts import Arrays
from diffattr.attribution.scores import highest
from diffattr.report import formats
from diffattr.report.files import Inputs
from diffattr.report.pictures import LARGEST_SIDE

FILE_CHARACTERS = 100_000
"""A data file ends with the query that makes it longer than this."""


def described(
    inputs: Inputs, split: str, positions: Sequence[int] | None = None
) -> dict[str, list[Any] | None]:
    """Return ids and classes of a split's images at these positions (all)."""
    ids, labels = inputs.ids(split), inputs.labels(split)
    kept = range(len(ids)) if positions is None else positions
    if labels is not None:
        labels = ["none" if labels[place] is None else labels[place] for place in kept]
    return {"ids": [ids[place] for place in kept], "labels": labels}


def extremes(
    inputs: Inputs, method: str, split: str, shape: tuple[int, int], top: int
) -> tuple[Int64[np.ndarray, "query twice_top"], list[str]]:
    """Return one method's proponents, then opponents, of every query: their positions, and as JSON.

    The JSON has a query's positions, its scores as shown, and its maps or null.

    Raises:
        ArtifactError: scores or maps are missing or damaged.
        ValueError: scores have another shape than `shape`, or one is not finite; or maps are too
            large, or have values outside [0, 1].
    """
    scores = inputs.arrays("scores", method, split)["scores"]
    where = f"scores of {method} on {split}"
    if scores.shape != shape:
        raise ValueError(f"{where}: found shape {scores.shape}, expected {shape}")
    if (bad := np.flatnonzero(~np.isfinite(scores).all(axis=1))).size:
        raise ValueError(f"{where}: query {bad[0]} has one that is NaN or infinite")
    maps = None
    if (method, split) in inputs.files["maps"]:
        maps = inputs.arrays("maps", method, split)
    positions, texts = np.hstack([highest(scores, top), highest(-scores, top)]), []
    for query, shown in enumerate(positions.tolist()):
        where = f"maps of {method} on {split}, query {query}"
        levels = None if maps is None else _levels(maps, query, shown, where)
        written = [formats.short(score) for score in scores[query, shown].tolist()]
        texts.append(as_json([shown, written, levels]))
    return positions, texts


def _levels(maps: Arrays, query: int, positions: list[int], where: str) -> list[Any]:
    """Return the maps of one query as height, width and, in base64, a byte for each cell.

    255 is the largest value of the query.
    """
    stored = maps["maps"][query]
    places = {position: place for place, position in enumerate(maps["positions"][query])}
    shares = stored[[places[position] for position in positions]] / max(stored.max(), 1e-30)
    _, height, width = shares.shape
    if max(height, width) > LARGEST_SIDE:
        raise ValueError(
            f"{where}: found {height} x {width}, allowed are up to {LARGEST_SIDE} cells a side;"
            " average them"
        )
    # Written this way round, NaN is refused too.
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"{where}: a value is not in [0, 1]")
    levels = (shares * 255).round().astype(np.uint8)
    return [height, width, base64.b64encode(levels.tobytes()).decode()]


def write_queries(
    folder: Path, split: str, n_queries: int, answers: Sequence[Sequence[str]]
) -> list[int]:
    """Write the answers of each method to each query; return the first query of each file."""
    starts: list[int] = []
    pending: list[str] = []
    for query in range(n_queries):
        pending.append(f"[{','.join(of_method[query] for of_method in answers)}]")
        if sum(map(len, pending)) > FILE_CHARACTERS or query == n_queries - 1:
            starts.append(query + 1 - len(pending))
            lines = ",\n".join(pending)
            write(folder, f"{split}-{starts[-1]}", f"[\n{lines}\n]")
            pending = []
    return starts


def write(folder: Path, name: str, text: str) -> None:
    """Write JSON as the data of a name."""
    path = folder / "data" / f"{name}.js"
    path.write_text(f'loaded("{name}",{text});\n', encoding="utf-8")


def as_json(value: Any) -> str:
    """Return JSON in ASCII without `<`, so that it can stand in a script and not end it."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c")
