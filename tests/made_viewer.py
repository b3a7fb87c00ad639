"""A made-up viewer of queries, and what its folder says."""

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from PIL import Image

from diffattr.artifacts import Arrays
from diffattr.evaluation.planted import PlantedRow
from diffattr.report.files import Inputs
from diffattr.report.queries import Query, QueryGroup, QueryMethod
from diffattr.report.structs import Report
from diffattr.report.viewer import write_viewer

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\u2028`${1}"
N_TRAIN, SIZES = 30, {"val": 7, "gen": 5, "planted": 4}
COPIES = [1, 3, 9, 2]
TOP = 3


class Stored(Inputs):
    """Inputs that are no files."""

    def __init__(self, made: "Made"):
        super().__init__({"maps": dict.fromkeys(made.maps, "no file")})
        self.made = made

    def ids(self, split):
        return self.made.ids[split]

    def labels(self, split):
        return self.made.labels[split]

    def arrays(self, kind, *key):
        stored = {"scores": self.made.scores[key]} if kind == "scores" else self.made.maps[key]
        return Arrays(Path(kind, *key), stored, {})


@dataclass
class Made:
    """What a folder is written from; `methods` are what they need and their features."""

    template: Report
    methods: dict[str, tuple[str, str | None]]
    splits: dict[str, list[str]]
    ids: dict[str, list]
    labels: dict[str, list[str | None] | None]
    lds: dict[str, dict[str, list[float]]]
    images: dict[str, np.ndarray]
    scores: dict[tuple[str, str], np.ndarray]
    maps: dict[tuple[str, str], dict[str, np.ndarray]] = field(default_factory=dict)
    title: str = "made-up"

    @property
    def report(self) -> Report:
        table, method = self.template.lds[0], self.template.methods[0]
        planted = None
        if "planted" in self.splits:
            rows = [
                PlantedRow(name=name, lam=None, recall_at_1=0, mean_rank=0, ranks=self.ranks(name))
                for name in self.splits["planted"]
            ]
            planted = replace(self.template.planted, copies=tuple(COPIES), methods=tuple(rows))
        return replace(
            self.template,
            name=self.title,
            n_train=len(self.ids["train"]),
            methods=[
                replace(method, name=name, needs=needs, features=features)
                for name, (needs, features) in self.methods.items()
            ],
            lds=[
                replace(
                    table,
                    split=split,
                    methods=[
                        replace(table.methods[0], name=name, per_query=values)
                        for name, values in lds.items()
                    ],
                )
                for split, lds in self.lds.items()
            ],
            planted=planted,
            queries=[self.group(split) for split in self.splits],
        )

    def ranks(self, method: str) -> tuple[int, ...]:
        rows = zip(self.scores[method, "planted"], COPIES, strict=True)
        return tuple(1 + int((own > own[copy]).sum()) for own, copy in rows)

    def group(self, split: str) -> QueryGroup:
        methods = [
            QueryMethod(name=name, lds=None, copy_rank=None, proponents=[], opponents=[])
            for name in self.splits[split]
        ]
        name = None if split == "gen" else "a name"
        query = Query(index=0, id=0, name=name, label=None, methods=methods)
        return QueryGroup(split=split, n_queries=len(self.ids[split]), queries=[query])

    def write(self, directory: Path) -> None:
        write_viewer(directory, self.report, Stored(self), self.images, TOP)


def made_up(report: Report) -> Made:
    rng = np.random.default_rng(0)
    methods = {
        "trak-4": ("gradients", "t4/loss"),
        "pixel-dot": ("no gradients", None),
        "datamodel": ("retraining", None),
    }
    names = list(methods)
    images = {
        split: rng.uniform(-1, 1, (n, 1, 8, 8)).astype(np.float32)
        for split, n in {"train": N_TRAIN, **SIZES}.items()
    }
    scores = {
        (name, split): rng.normal(size=(n, N_TRAIN)).astype(np.float32)
        for name in names
        for split, n in SIZES.items()
    }
    # Whole numbers: nearly all scores are tied.
    tied = rng.integers(-2, 3, (SIZES["val"], N_TRAIN)).astype(np.float32)
    scores["pixel-dot", "val"] = tied
    splits = {"val": names, "gen": names[1:], "planted": names}
    ids = {
        "train": [3 * n for n in range(N_TRAIN)],
        "val": list(range(100, 107)),
        "gen": list(range(5)),
        "planted": [3, 9, 27, 6],
    }
    labels = {
        "train": [str(n % 10) for n in range(N_TRAIN)],
        "val": ["1"] * 6 + [None],
        "gen": None,
        "planted": ["0"] * 4,
    }
    lds = {
        split: {name: rng.uniform(-1, 1, SIZES[split]).tolist() for name in splits[split]}
        for split in ("val", "gen")
    }
    return Made(report, methods, splits, ids, labels, lds, images, scores)


def data(folder: Path, name: str) -> Any:
    text = (folder / "data" / f"{name}.js").read_text()
    match = re.fullmatch(r'loaded\("(\w+(?:-\d+)?)",(.*)\);\n', text, re.DOTALL)
    assert match is not None
    assert match[1] == name
    return json.loads(match[2])


def queries(folder: Path, split: str) -> list[Any]:
    """Return all queries of a split, each a list of (positions, scores, maps) by method."""
    found = []
    for start in data(folder, split)["starts"]:
        assert start == len(found)
        found += data(folder, f"{split}-{start}")
    return found


def tile(folder: Path, split: str, slot: int) -> np.ndarray:
    index = data(folder, split)["sheets"]
    number, place = divmod(slot, index["size"])
    row, column = divmod(place, index["columns"])
    sheet = np.asarray(Image.open(folder / "images" / f"{split}-{number}.{index['kind']}"))
    height, width = index["height"], index["width"]
    return sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]


def levels(image: np.ndarray) -> np.ndarray:
    """Return an image of [-1, 1] as bytes, height x width (x 3)."""
    return np.rint((image.astype(np.float64) + 1) * 127.5).squeeze(0).astype(np.uint8)


class Read(HTMLParser):
    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)


def with_hostile_words(made: Made) -> Made:
    made.methods = {HOSTILE: ("computed elsewhere", HOSTILE), **made.methods}
    del made.methods["trak-4"]
    made.scores |= {(HOSTILE, split): made.scores["trak-4", split] for split in SIZES}
    for split, names in made.splits.items():
        made.splits[split] = [HOSTILE if name == "trak-4" else name for name in names]
    for lds in made.lds.values():
        if "trak-4" in lds:
            lds[HOSTILE] = lds.pop("trak-4")
    made.labels = {split: [HOSTILE] * len(ids) for split, ids in made.ids.items()}
    return made


def every_map(split: str, maps: np.ndarray) -> dict[str, np.ndarray]:
    """Return one map as that of each training image for each query."""
    positions = np.tile(np.arange(N_TRAIN), (SIZES[split], 1))
    return {"positions": positions, "maps": np.broadcast_to(maps, (*positions.shape, *maps.shape))}
