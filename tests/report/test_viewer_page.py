"""The viewer's page: words are text, nothing refers elsewhere, small, and usable by everyone."""

import base64
import hashlib
import json

import numpy as np
from made_viewer import HOSTILE, Read, data, with_hostile_words


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
