"""A made-up viewer of queries, and what its folder says."""

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffattr.report import viewer
from diffattr.report.viewer import Method, Split, Train

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\u2028`${1}"

N_TRAIN, SIZES = 30, {"val": 7, "gen": 5, "planted": 4}
TOP = 3


@dataclass
class Made:
    """What a folder is written from."""

    methods: list[Method]
    train: Train
    splits: list[Split]
    images: dict[str, np.ndarray]
    scores: dict[tuple[str, str], np.ndarray]
    maps: viewer.Maps | None = None

    def write(self, directory: Path, **options: Any) -> None:
        viewer.write(
            directory,
            options.pop("title", "made-up"),
            self.methods,
            self.train,
            self.splits,
            self.images,
            lambda method, split: self.scores[method, split],
            maps=self.maps,
            top=TOP,
            **options,
        )


def made_up() -> Made:
    rng = np.random.default_rng(0)
    methods = [
        Method("trak-4", "gradients", "t4/loss"),
        Method("pixel-dot", "no gradients"),
        Method("datamodel", "retraining"),
    ]
    names = [method.name for method in methods]
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
    scores["pixel-dot", "val"] = rng.integers(-2, 3, (SIZES["val"], N_TRAIN)).astype(np.float32)

    def lds(split: str) -> dict[str, list[float]]:
        return {name: rng.uniform(-1, 1, SIZES[split]).tolist() for name in names}

    splits = [
        Split("val", "held-out images", names, list(range(100, 107)), [1] * 7, lds("val")),
        Split("gen", "generated images", names[1:], list(range(5)), None, lds("gen")),
        Split("planted", "copies", names, [3, 9, 27, 6], [0] * 4, copies=[1, 3, 9, 2]),
    ]
    train = Train([3 * n for n in range(N_TRAIN)], [n % 10 for n in range(N_TRAIN)])
    return Made(methods, train, splits, images, scores)


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
    made.methods[0] = Method(HOSTILE, HOSTILE, HOSTILE)
    made.scores |= {(HOSTILE, split): made.scores["trak-4", split] for split in SIZES}
    for place, split in enumerate(made.splits):
        made.splits[place] = replace(
            split,
            words=HOSTILE,
            id_words=HOSTILE,
            methods=[HOSTILE if name == "trak-4" else name for name in split.methods],
            labels=[HOSTILE] * SIZES[split.name],
        )
    made.train = Train(made.train.ids, [HOSTILE] * N_TRAIN)
    return made
