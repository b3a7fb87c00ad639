"""The viewer's data: scripts that call `loaded(name, value)`.

A page opened from disk may run a script beside it, but not read a file.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffattr.report import formats
from diffattr.report.viewer.content import Label, Method, Split
from diffattr.report.viewer.extremes import Extremes

FILE_CHARACTERS = 100_000
"""A data file ends with the query that makes it longer than this."""


def split_index(
    methods: Sequence[Method], split: Split, found: Sequence[Extremes]
) -> dict[str, Any]:
    """Return what is known of a split's queries apart from their extreme scores."""
    names = [method.name for method in methods]
    return {
        **described(split.ids, split.labels),
        "methods": [names.index(name) for name in split.methods],
        "lds": _lds(split),
        "ranks": None if split.copies is None else [method.ranks for method in found],
        "copies": None if split.copies is None else list(split.copies),
    }


def described(
    ids: Sequence[int | str], labels: Sequence[Label] | None, positions: Sequence[int] | None = None
) -> dict[str, Any]:
    """Return ids and classes of the images at these positions (all)."""
    kept = range(len(ids)) if positions is None else positions
    return {
        "ids": [ids[place] for place in kept],
        "labels": None if labels is None else [str(labels[place]) for place in kept],
    }


def _lds(split: Split) -> list[list[float | None] | None] | None:
    """Return each method's LDS rounded to the digits that are shown, so that they sort as seen."""
    if split.lds is None:
        return None
    return [
        None if name not in split.lds else [_shown_digits(value) for value in split.lds[name]]
        for name in split.methods
    ]


def _shown_digits(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(formats.fixed(value))


def write_queries(folder: Path, split: Split, found: Sequence[Extremes]) -> list[int]:
    """Write the extreme scores of a split's queries; return the first query of each file."""
    starts: list[int] = []
    pending: list[str] = []
    length = 0
    for query in range(len(split.ids)):
        pending.append(as_json([_entry(method, query) for method in found]))
        length += len(pending[-1])
        if length > FILE_CHARACTERS or query == len(split.ids) - 1:
            starts.append(query + 1 - len(pending))
            lines = ",\n".join(pending)
            _write(folder, f"{split.name}-{starts[-1]}", f"[\n{lines}\n]")
            pending, length = [], 0
    return starts


def _entry(method: Extremes, query: int) -> list[Any]:
    """Return one method's answer for one query: positions, scores as shown, maps."""
    levels = method.maps[query]
    return [
        method.positions[query].tolist(),
        [formats.short(score) for score in method.scores[query].tolist()],
        None
        if levels is None
        else [*levels.shape[1:], base64.b64encode(levels.tobytes()).decode()],
    ]


def write_data(folder: Path, name: str, value: Any) -> None:
    """Write one value under a name."""
    _write(folder, name, as_json(value))


def _write(folder: Path, name: str, text: str) -> None:
    write_text(folder / f"{name}.js", f'loaded("{name}",{text});\n')


def as_json(value: Any) -> str:
    """Return JSON in ASCII without `<`, so that it can stand in a script and not end it."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c")


def write_text(path: Path, text: str) -> None:
    """Write a file with the same bytes on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")
