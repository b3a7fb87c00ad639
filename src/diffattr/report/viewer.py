"""A folder to look at every query of a benchmark with, straight from the disk.

`queries.html` holds no data. It loads, when it needs them and without a server:

    data/train.js        class and image number of every training image that is shown anywhere
    data/<split>.js      class, image number, LDS or rank of the copy of every query of a split
    data/<split>-<n>.js  the extreme scores of the queries from n on, some 100 kB per file
    images/<split>-<n>   sheets of up to 256 images, each image once

Data files are scripts that call `loaded(name, value)`, since a page that is opened from the disk
may run a file beside it, but not read it. The same inputs give the same bytes.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, UInt8
from markupsafe import Markup
from PIL import Image

from diffattr.artifacts import beside
from diffattr.benchmark.methods import Needs
from diffattr.evaluation.planted import planted_truth
from diffattr.report import formats, pictures, rendering

SHEET_COLUMNS, SHEET_SIZE = 16, 256
"""Images side by side on a sheet, and in all."""
LOSSLESS_SIDE = 32
"""Pixels; larger images are compressed with loss, which takes a fifth of the space."""
FILE_CHARACTERS = 100_000
"""A data file ends with the query that takes it past this length."""

Label = int | str
LoadScores = Callable[[str, str], Float[np.ndarray, "query train"]]
"""(method, split) -> the scores; called once for each, and not kept."""
Maps = Callable[[str, str, int, list[int]], Float[np.ndarray, "train height width"] | None]
"""(method, split, query, training positions) -> where in the query the method sees the reason for
each of these training images, in [0, 1]; None where the method has no such maps."""


@dataclass(frozen=True)
class Train:
    """The training images: numbers in the data set or names, and classes if there are any."""

    ids: Sequence[int | str]
    labels: Sequence[Label] | None


@dataclass(frozen=True)
class Split:
    """The queries of one split.

    `words` says in the plural what they are ("held-out images"), `id_words` what an id counts
    ("image", or "noise number" for generated ones). `methods` have scores here, in the order in
    which to show them. `lds` holds each method's LDS of every query, `copies` the position of each
    query's copy in the training set; both None where there are none.
    """

    name: str
    words: str
    methods: Sequence[str]
    ids: Sequence[int | str]
    labels: Sequence[Label] | None = None
    lds: Mapping[str, Sequence[float | None]] | None = None
    copies: Sequence[int] | None = None
    id_words: str = "image"


def write(
    directory: str | Path,
    title: str,
    methods: Sequence[Mapping[str, Any]],
    train: Train,
    splits: Sequence[Split],
    images: Mapping[str, Float[np.ndarray, "_ channel height width"]],
    load_scores: LoadScores,
    *,
    maps: Maps | None = None,
    top: int = 5,
    report: str | None = None,
) -> None:
    """Write the folder, whole or not at all; what was there is replaced.

    Args:
        directory: where; nothing else may lie there.
        title: the benchmark's name.
        methods: the rows `methods` of `report.json`; of these, `name`, `needs` and `features`.
        train: what is known of the training images.
        splits: what is known of the queries.
        images: each split's images in [-1, 1], `train` among them.
        load_scores: gives one method's scores on one split. The scores of all methods together
            would not fit into memory, so only their extremes are kept.
        maps: gives a method's maps of a query's proponents, then opponents.
        top: how many proponents, and how many opponents.
        report: where the report lies, as a link from the folder.

    Raises:
        ValueError: a name cannot be an address, or lengths or scores are not what they should be.
    """
    _check(methods, train, splits, images)
    with beside(directory) as folder:
        for part in ("data", "images"):
            (folder / part).mkdir(parents=True)
        shown: set[int] = set()
        for split in splits:
            found = [
                _extremes_of(split, method, len(train.ids), load_scores, maps, top)
                for method in split.methods
            ]
            for method in found:
                shown.update(method.positions.ravel().tolist())
            starts = _write_queries(folder / "data", split, found)
            names = [row["name"] for row in methods]
            index = {
                **_described(split.ids, split.labels),
                "methods": [names.index(name) for name in split.methods],
                "starts": starts,
                "lds": _lds(split),
                "ranks": None if split.copies is None else [method.ranks for method in found],
                "copies": None if split.copies is None else list(split.copies),
                "sheets": _write_sheets(folder / "images", split.name, images[split.name]),
            }
            _write_data(folder / "data", split.name, index)
        positions = sorted(shown)
        index = {
            **_described(train.ids, train.labels, positions),
            "positions": positions,
            "sheets": _write_sheets(folder / "images", "train", images["train"], positions),
        }
        _write_data(folder / "data", "train", index)
        html = _html(title, methods, splits, len(train.ids), maps is not None, report)
        _write_text(folder / "queries.html", html)


def _check(
    methods: Sequence[Mapping[str, Any]],
    train: Train,
    splits: Sequence[Split],
    images: Mapping[str, np.ndarray],
) -> None:
    known = {row["name"] for row in methods}
    taken = {"train"}
    for split in splits:
        if not re.fullmatch(r"[A-Za-z0-9_]+", split.name) or split.name in taken:
            raise ValueError(
                f"split {split.name!r}: cannot be an address; take letters, digits and _, and"
                " each name once, 'train' not among them"
            )
        taken.add(split.name)
        if unknown := [name for name in split.methods if name not in known]:
            raise ValueError(f"split {split.name}: method {unknown[0]!r} is not among `methods`")
        lengths: dict[str, Sequence[Any] | None] = {
            "labels": split.labels,
            "copies": split.copies,
            **{f"lds of {name}": (split.lds or {}).get(name) for name in split.methods},
        }
        _check_lengths(split.name, len(split.ids), lengths, images)
    _check_lengths("train", len(train.ids), {"labels": train.labels}, images)


def _check_lengths(
    split: str,
    expected: int,
    lengths: Mapping[str, Sequence[Any] | None],
    images: Mapping[str, np.ndarray],
) -> None:
    for what, values in {**lengths, "images": images[split]}.items():
        if values is not None and len(values) != expected:
            raise ValueError(f"split {split}: found {len(values)} {what}, expected {expected}")


@dataclass(frozen=True)
class _Extremes:
    """One method's proponents on one split, then as many opponents."""

    positions: np.ndarray
    """(query, 2 * top)"""
    scores: np.ndarray
    ranks: list[int] | None
    maps: list[UInt8[np.ndarray, "train height width"] | None]


def _extremes_of(
    split: Split,
    method: str,
    n_train: int,
    load_scores: LoadScores,
    maps: Maps | None,
    top: int,
) -> _Extremes:
    scores = load_scores(method, split.name)
    if scores.shape != (len(split.ids), n_train):
        raise ValueError(
            f"scores of {method} on {split.name}: found shape {scores.shape},"
            f" expected {(len(split.ids), n_train)}"
        )
    if (bad := np.flatnonzero(~np.isfinite(scores).all(axis=1))).size:
        raise ValueError(
            f"scores of {method} on {split.name}: query {bad[0]} has one that is NaN or infinite"
        )
    positions = np.concatenate([highest(scores, top), highest(-scores, top)], axis=1)
    ranks = None
    if split.copies is not None:
        ranks = planted_truth(scores, np.array(split.copies, np.int64)).ranks.tolist()
    drawn = [
        None if maps is None else _map_levels(maps, method, split.name, query, own.tolist())
        for query, own in enumerate(positions)
    ]
    return _Extremes(positions, np.take_along_axis(scores, positions, axis=1), ranks, drawn)


def highest(scores: Float[np.ndarray, "query train"], count: int) -> np.ndarray:
    """Return (query, count) positions, highest score first, the earlier position first in a tie.

    The first `count` of a stable argsort, without sorting the rest.
    """
    count = min(count, scores.shape[1])
    least = np.partition(scores, -count, axis=1)[:, -count]
    rows = []
    for own, bound in zip(scores, least, strict=True):
        candidates = np.flatnonzero(own >= bound)
        rows.append(candidates[np.argsort(-own[candidates], kind="stable")][:count])
    return np.array(rows, np.int64).reshape(len(scores), count)


def _map_levels(
    maps: Maps, method: str, split: str, query: int, positions: list[int]
) -> UInt8[np.ndarray, "train height width"] | None:
    found = maps(method, split, query, positions)
    if found is None:
        return None
    where = f"maps of {method} on {split}, query {query}"
    if found.ndim != 3 or len(found) != len(positions):
        raise ValueError(
            f"{where}: found shape {found.shape}, expected ({len(positions)}, height, width)"
        )
    if max(found.shape[1:]) > pictures.LARGEST_SIDE:
        raise ValueError(
            f"{where}: found {found.shape[1]} x {found.shape[2]}, allowed are up to"
            f" {pictures.LARGEST_SIDE} cells a side; average them"
        )
    # Written this way round, NaN is refused too.
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"{where}: a value is not in [0, 1]")
    return (found * 255).round().astype(np.uint8)


def _described(
    ids: Sequence[int | str], labels: Sequence[Label] | None, positions: Sequence[int] | None = None
) -> dict[str, Any]:
    kept = range(len(ids)) if positions is None else positions
    return {
        "ids": [ids[place] for place in kept],
        "labels": None if labels is None else [str(labels[place]) for place in kept],
    }


def _lds(split: Split) -> list[list[float | None] | None] | None:
    """Return each method's LDS with the digits that are shown: the order is what one sees."""
    if split.lds is None:
        return None
    return [
        None if name not in split.lds else [_shown_digits(value) for value in split.lds[name]]
        for name in split.methods
    ]


def _shown_digits(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(formats.fixed(value))


def _write_queries(folder: Path, split: Split, found: Sequence[_Extremes]) -> list[int]:
    """Write the split's queries and return the first query of each file."""
    starts: list[int] = []
    pending: list[str] = []
    length = 0
    for query in range(len(split.ids)):
        pending.append(_json([_entry(method, query) for method in found]))
        length += len(pending[-1])
        if length > FILE_CHARACTERS or query == len(split.ids) - 1:
            starts.append(query + 1 - len(pending))
            name = f"{split.name}-{starts[-1]}"
            lines = ",\n".join(pending)
            _write_text(folder / f"{name}.js", f'loaded("{name}",[\n{lines}\n]);\n')
            pending, length = [], 0
    return starts


def _entry(method: _Extremes, query: int) -> list[Any]:
    """Return one method's answer on one query: positions, scores as they are shown, maps."""
    levels = method.maps[query]
    return [
        method.positions[query].tolist(),
        [formats.short(score) for score in method.scores[query].tolist()],
        None
        if levels is None
        else [*levels.shape[1:], base64.b64encode(levels.tobytes()).decode()],
    ]


def _write_sheets(
    folder: Path,
    split: str,
    images: Float[np.ndarray, "_ channel height width"],
    positions: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Write the images at these positions (all) as sheets and return how to find one."""
    places = range(len(images)) if positions is None else positions
    width, height = 1, 1
    kind = "png" if max(images.shape[2:]) <= LOSSLESS_SIDE else "webp"
    for number, first in enumerate(range(0, len(places), SHEET_SIZE)):
        tiles = [pictures.picture(images[place]) for place in places[first : first + SHEET_SIZE]]
        width, height = tiles[0].size
        columns = min(SHEET_COLUMNS, len(tiles))
        rows = -(-len(tiles) // SHEET_COLUMNS)
        sheet = Image.new(tiles[0].mode, (columns * width, rows * height))
        for place, tile in enumerate(tiles):
            row, column = divmod(place, SHEET_COLUMNS)
            sheet.paste(tile, (column * width, row * height))
        options = {"optimize": True} if kind == "png" else {"quality": 80}
        sheet.save(folder / f"{split}-{number}.{kind}", kind, **options)
    return {
        "width": width,
        "height": height,
        "kind": kind,
        "columns": SHEET_COLUMNS,
        "size": SHEET_SIZE,
    }


def _html(
    title: str,
    methods: Sequence[Mapping[str, Any]],
    splits: Sequence[Split],
    n_train: int,
    has_maps: bool,
    report: str | None,
) -> str:
    groups = list(dict.fromkeys([*get_args(Needs), *(row["needs"] for row in methods)]))
    about = {
        "title": title,
        "n_train": n_train,
        "groups": groups,
        "methods": [
            {
                "name": row["name"],
                "group": groups.index(row["needs"]),
                "features": row.get("features"),
            }
            for row in methods
        ],
        "splits": [
            {"name": split.name, "words": split.words, "id_words": split.id_words}
            for split in splits
        ],
    }
    style, script = (rendering.packaged("templates", f"queries.{kind}") for kind in ("css", "js"))
    return rendering.render(
        "queries.html.jinja",
        title=title,
        about=Markup(_json(about)),
        has_maps=has_maps,
        report=report,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    """Return what lets this inline text, and no other, past the page's content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _write_data(folder: Path, name: str, value: Any) -> None:
    _write_text(folder / f"{name}.js", f'loaded("{name}",{_json(value)});\n')


def _json(value: Any) -> str:
    """Return JSON in ASCII that can stand in a script: no `<`, so no end of the script."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
