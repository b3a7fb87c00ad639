import base64
import hashlib
import json
import math
import re
import shutil
import subprocess
import weakref
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from diffattr import artifacts
from diffattr.artifacts import Arrays
from diffattr.evaluation.planted import PlantedRow
from diffattr.report import pictures
from diffattr.report.files import Inputs
from diffattr.report.queries import Query, QueryGroup, QueryMethod, highest
from diffattr.report.structs import Report
from diffattr.report.viewer import write_viewer

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\u2028`${1}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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


@pytest.fixture
def make(report):
    """Return a function that makes up what a folder is written from."""

    def made_up() -> Made:
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

    return made_up


@pytest.fixture
def made(make) -> Made:
    return make()


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


def test_the_listed_images_have_the_highest_and_lowest_scores(made, tmp_path):
    made.write(tmp_path / "v")
    for split, methods in made.splits.items():
        found = queries(tmp_path / "v", split)
        assert len(found) == SIZES[split]
        for query, entries in enumerate(found):
            for name, (positions, scores, _) in zip(methods, entries, strict=True):
                own = made.scores[name, split][query].tolist()
                falling = sorted(range(N_TRAIN), key=lambda place, own=own: (-own[place], place))
                rising = sorted(range(N_TRAIN), key=lambda place, own=own: (own[place], place))
                assert positions == falling[:TOP] + rising[:TOP]
                assert scores == [f"{own[place]:.3g}" for place in positions]


def test_highest_equals_a_stable_argsort():
    rng = np.random.default_rng(1)
    for n_train, values in ((1, 3), (5, 2), (200, 4), (200, 10_000)):
        scores = rng.integers(0, values, (20, n_train)).astype(np.float32)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
        np.testing.assert_array_equal(highest(scores, 7), expected)


def test_fewer_training_images_than_asked_for_are_all_listed(made, tmp_path):
    made.ids["train"], made.labels["train"] = [0, 1], None
    made.images["train"] = made.images["train"][:2]
    made.scores = {key: scores[:, :2] for key, scores in made.scores.items()}
    made.splits = {"val": made.splits["val"]}
    del made.lds["gen"]
    made.write(tmp_path / "v")
    assert {len(entry[0]) for entries in queries(tmp_path / "v", "val") for entry in entries} == {4}
    assert data(tmp_path / "v", "train")["labels"] is None


def test_lds_and_ranks_stand_with_each_query(made, tmp_path):
    made.lds["val"]["trak-4"][2] = -0.0001
    made.write(tmp_path / "v")
    val, planted = data(tmp_path / "v", "val"), data(tmp_path / "v", "planted")
    assert val["methods"] == [0, 1, 2]
    assert data(tmp_path / "v", "gen")["methods"] == [1, 2]
    assert data(tmp_path / "v", "gen")["labels"] is None
    assert val["labels"] == ["1"] * 6 + ["none"]
    expected = [[float(f"{value:z.3f}") for value in row] for row in made.lds["val"].values()]
    assert val["lds"] == expected
    assert math.copysign(1, val["lds"][0][2]) == 1
    assert (val["ranks"], val["copies"], planted["lds"]) == (None, None, None)
    assert planted["copies"] == COPIES
    for place, name in enumerate(made.splits["planted"]):
        for query, copy in enumerate(COPIES):
            own = made.scores[name, "planted"][query]
            assert planted["ranks"][place][query] == 1 + sum(other > own[copy] for other in own)


def test_images_are_stored_once_and_exactly(made, tmp_path):
    made.write(tmp_path / "v")
    train = data(tmp_path / "v", "train")
    shown = {
        position
        for split in SIZES
        for entries in queries(tmp_path / "v", split)
        for entry in entries
        for position in entry[0]
    }
    assert train["positions"] == sorted(shown)
    assert train["ids"] == [3 * position for position in sorted(shown)]
    assert train["labels"] == [str(position % 10) for position in sorted(shown)]
    for slot, position in enumerate(train["positions"]):
        found = tile(tmp_path / "v", "train", slot)
        np.testing.assert_array_equal(found, levels(made.images["train"][position]))
    for split, n in SIZES.items():
        for query in range(n):
            found = tile(tmp_path / "v", split, query)
            np.testing.assert_array_equal(found, levels(made.images[split][query]))
    assert len(list((tmp_path / "v" / "images").iterdir())) == 4


def test_many_colour_images_take_several_sheets(made, tmp_path):
    rng = np.random.default_rng(2)
    n = 2 * pictures.SHEET_SIZE + 5
    made.images["val"] = rng.uniform(-1, 1, (n, 3, 6, 4)).astype(np.float32)
    made.scores["trak-4", "val"] = rng.normal(size=(n, N_TRAIN)).astype(np.float32)
    made.splits, made.lds = {"val": ["trak-4"]}, {}
    made.ids["val"], made.labels["val"] = list(range(n)), None
    made.write(tmp_path / "v")
    assert len(list((tmp_path / "v" / "images").glob("val-*.png"))) == 3
    for query in (0, 17, pictures.SHEET_SIZE - 1, pictures.SHEET_SIZE, n - 1):
        expected = np.rint((made.images["val"][query].astype(np.float64) + 1) * 127.5)
        found = tile(tmp_path / "v", "val", query)
        np.testing.assert_array_equal(found, expected.transpose(1, 2, 0).astype(np.uint8))


def test_large_images_are_scaled_down(made, tmp_path):
    made.images["val"] = np.zeros((7, 3, 256, 128), np.float32)
    made.write(tmp_path / "v")
    sheets = data(tmp_path / "v", "val")["sheets"]
    assert (sheets["width"], sheets["height"], sheets["kind"]) == (32, 64, "webp")
    assert np.abs(tile(tmp_path / "v", "val", 6).astype(int) - 128).max() <= 2


def test_maps_are_shares_of_the_largest_value_kept_to_a_byte(made, tmp_path):
    rng = np.random.default_rng(3)
    for split in SIZES:
        # Of more images than are shown, and in another order.
        positions = np.array([rng.permutation(N_TRAIN) for _ in range(SIZES[split])])
        maps = rng.uniform(0, 7, (*positions.shape, 3, 2)).astype(np.float32)
        made.maps["trak-4", split] = {"positions": positions, "maps": maps}
    made.write(tmp_path / "v")
    for split in ("val", "planted"):
        for query, (with_maps, *others) in enumerate(queries(tmp_path / "v", split)):
            stored = {name: array[query] for name, array in made.maps["trak-4", split].items()}
            height, width, text = with_maps[2]
            found = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, height, width)
            for position, levels in zip(with_maps[0], found, strict=True):
                (own,) = stored["maps"][stored["positions"] == position]
                # Rounding to 8 bits.
                expected = own / stored["maps"].max()
                assert np.abs(levels / 255 - expected).max() <= 0.5 / 255 + 1e-7
            assert [entry[2] for entry in others] == [None, None]
    assert 'id="maps"' in (tmp_path / "v" / "queries.html").read_text()


def every_map(split: str, maps: np.ndarray) -> dict[str, np.ndarray]:
    """Return one map as that of each training image for each query."""
    positions = np.tile(np.arange(N_TRAIN), (SIZES[split], 1))
    return {"positions": positions, "maps": np.broadcast_to(maps, (*positions.shape, *maps.shape))}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (np.full((4, 4), np.nan), "maps of trak-4 on val, query 0: a value is not in"),
        (np.array([[1, -1.0]]), "query 0: a value is not in"),
        (np.zeros((65, 4)), "found 65 x 4, allowed are up to 64 cells a side"),
    ],
)
def test_bad_maps_are_refused(made, tmp_path, found, words):
    made.maps["trak-4", "val"] = every_map("val", found)
    with pytest.raises(ValueError, match=words):
        made.write(tmp_path / "v")


def test_scores_are_loaded_once_and_one_at_a_time(made, tmp_path, monkeypatch):
    asked, last = [], lambda: None

    def load(self, kind, *key):
        nonlocal last
        assert last() is None
        asked.append(key)
        scores = made.scores[key].copy()
        last = weakref.ref(scores)
        return Arrays(Path(kind, *key), {"scores": scores}, {})

    monkeypatch.setattr(Stored, "arrays", load)
    made.write(tmp_path / "v")
    assert asked == [(name, split) for split, names in made.splits.items() for name in names]


def test_bad_scores_are_refused_and_the_old_folder_stays(made, tmp_path):
    made.write(tmp_path / "v")
    before = artifacts.checksum(tmp_path / "v")
    made.scores["datamodel", "planted"][2, 5] = math.nan
    with pytest.raises(ValueError, match="scores of datamodel on planted: query 2 has one that"):
        made.write(tmp_path / "v")
    made.scores["datamodel", "gen"] = np.zeros((5, 3), np.float32)
    with pytest.raises(ValueError, match=r"found shape \(5, 3\), expected \(5, 30\)"):
        made.write(tmp_path / "v")
    assert artifacts.checksum(tmp_path / "v") == before
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_the_same_inputs_give_the_same_bytes(make, tmp_path):
    make().write(tmp_path / "a")
    make().write(tmp_path / "b")
    assert artifacts.checksum(tmp_path / "a") == artifacts.checksum(tmp_path / "b")


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


def test_hostile_words_are_text(made, tmp_path):
    made.title = HOSTILE
    with_hostile_words(made).write(tmp_path / "v")
    html = (tmp_path / "v" / "queries.html").read_text(encoding="utf-8")
    read = Read(html)
    tags = [tag for tag, _ in read.elements]
    assert (tags.count("script"), tags.count("img")) == (2, 0)
    about, _ = read.texts["script"]
    assert json.loads(about)["methods"][0]["name"] == HOSTILE
    assert not any(name.startswith("on") for _, found in read.elements for name in found)
    for path in (tmp_path / "v" / "data").iterdir():
        assert b"<" not in path.read_bytes()
        assert path.read_bytes().isascii()
    assert data(tmp_path / "v", "val")["labels"] == [HOSTILE] * 7


def test_nothing_refers_to_the_network_and_the_policy_forbids_it(made, tmp_path):
    made.write(tmp_path / "v")
    html = (tmp_path / "v" / "queries.html").read_text(encoding="utf-8")
    assert "://" not in html
    assert not any("://" in path.read_text() for path in (tmp_path / "v" / "data").iterdir())
    read = Read(html)
    for tag, found in read.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert "src" not in found
        # A policy with hashes blocks them.
        assert "style" not in found
        assert found.get("href", "#").startswith(("#", "../index.html"))
    (policy,) = (found["content"] for _, found in read.elements if "http-equiv" in found)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digests = {
        tag: base64.b64encode(hashlib.sha256(read.texts[tag][-1].encode()).digest()).decode()
        for tag in ("script", "style")
    }
    assert rules == {
        "default-src": "'none'",
        "img-src": "'self'",
        "style-src": f"'sha256-{digests['style']}'",
        "script-src": f"'sha256-{digests['script']}' 'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "data",
    }


def test_sizes_stay_bounded(made, tmp_path):
    rng = np.random.default_rng(4)
    names = [f"method-number-{number}" for number in range(20)]
    made.methods = dict.fromkeys(names, ("gradients", None))
    made.splits = {"val": names}
    made.lds = {"val": {name: rng.uniform(-1, 1, 200).tolist() for name in names}}
    made.ids = {"train": list(range(512)), "val": list(range(200))}
    made.labels = {"train": ["0"] * 512, "val": ["0"] * 200}
    made.images = {
        split: rng.uniform(-1, 1, (len(ids), 1, 8, 8)).astype(np.float32)
        for split, ids in made.ids.items()
    }
    made.scores = {(name, "val"): rng.normal(size=(200, 512)).astype(np.float32) for name in names}
    made.write(tmp_path / "v")
    assert (tmp_path / "v" / "queries.html").stat().st_size < 100_000
    files = list((tmp_path / "v" / "data").iterdir())
    assert max(path.stat().st_size for path in files) < 110_000
    assert sum(path.stat().st_size for path in files) < 2_000_000
    # The bytes of random images do not get fewer by compression.
    assert sum(path.stat().st_size for path in (tmp_path / "v" / "images").iterdir()) < 60_000


def test_the_page_can_be_used_by_everyone(made, tmp_path):
    made.write(tmp_path / "v")
    read = Read((tmp_path / "v" / "queries.html").read_text(encoding="utf-8"))
    ids = [found["id"] for _, found in read.elements if "id" in found]
    assert len(ids) == len(set(ids))
    labelled = {found.get("for") for tag, found in read.elements if tag == "label"}
    for tag, found in read.elements:
        if tag in {"input", "select"}:
            assert found["id"] in labelled or "aria-label" in found
    assert ("html", {"lang": "en"}) in read.elements
    assert any(found.get("role") == "status" for _, found in read.elements)


def opened(page: Path, address: str, tmp_path: Path) -> tuple[str, str]:
    """Return the page's DOM after its scripts ran, and what went to the console."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=10000",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            f"{page.as_uri()}{address}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.mark.slow
@needs_chromium
def test_a_browser_shows_a_query_from_the_disk(made, tmp_path):
    with_hostile_words(made)
    for name in made.methods:
        made.maps[name, "val"] = every_map("val", np.full((2, 2), 0.5))
    made.write(tmp_path / "v")
    dom, console = opened(tmp_path / "v" / "queries.html", "#val-3", tmp_path)
    assert console == ""
    read = Read(dom)
    # Methods stand in the order of what they need.
    needs = ["Needs no gradients", "Needs retraining", "Needs computed elsewhere"]
    assert read.texts["h3"] == needs
    names = [text for text in read.texts["code"] if text in made.methods]
    # Once in the list of methods to hide, once with their images.
    assert names == ["pixel-dot", "datamodel", HOSTILE] * 2
    lds = [f"LDS {made.lds['val'][name][3]:.3f}" for name in names[:3]]
    assert [text for text in read.texts["p"] if text.startswith("LDS ")] == lds
    labels = [found.get("aria-label") or "" for _, found in read.elements]
    positions = [int(text.split()[2][:-1]) for text in labels if text.startswith("training image")]
    expected = []
    for name in names[:3]:
        order = np.argsort(-made.scores[name, "val"][3], kind="stable")
        lowest = np.argsort(made.scores[name, "val"][3], kind="stable")
        expected += [*order[:TOP].tolist(), *lowest[:TOP].tolist()]
    assert positions == expected
    assert sum(found.get("class") == "map" for _, found in read.elements) == len(expected)


@pytest.mark.slow
@needs_chromium
def test_a_browser_shows_all_queries_and_the_copies(made, tmp_path):
    made.scores["trak-4", "planted"][2, 9] = 100
    made.scores["datamodel", "planted"][2, 9] = -100
    made.scores["pixel-dot", "planted"][2, 9] = 0
    made.write(tmp_path / "v")
    dom, console = opened(tmp_path / "v" / "queries.html", "", tmp_path)
    assert console == ""
    links = [found["href"] for tag, found in Read(dom).elements if tag == "a" and "href" in found]
    assert [link for link in links if "-" in link] == [f"#val-{query}" for query in range(7)]
    dom, console = opened(tmp_path / "v" / "queries.html", "#planted-2", tmp_path)
    assert console == ""
    ranks = data(tmp_path / "v", "planted")["ranks"]
    for rank in ranks:
        assert f"copy has rank {rank[2]}<" in dom
    labels = [found.get("aria-label") or "" for _, found in Read(dom).elements]
    copy = "training image 9, class 9, image 27, the copy of the query"
    assert [label for label in labels if "the copy" in label] == [copy] * 2


@pytest.mark.slow
@needs_chromium
def test_a_browser_says_what_is_missing_and_runs_nothing_foreign(made, tmp_path):
    made.write(tmp_path / "v")
    page = tmp_path / "v" / "queries.html"
    (tmp_path / "v" / "data" / "val-0.js").unlink()
    foreign = '<script>document.title = "foreign"</script><img src=x onerror="document.title=2">'
    page.write_text(page.read_text().replace("</body>", f"{foreign}</body>"))
    dom, console = opened(page, "#val-3", tmp_path)
    assert "data/val-0.js, which belongs beside this page, cannot be read." in dom
    assert "<title>made-up: queries</title>" in dom
    assert "Content Security Policy" in console
