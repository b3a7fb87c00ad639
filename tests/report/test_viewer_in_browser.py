"""The viewer as a browser shows it from the disk."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_viewer import HOSTILE, TOP, Read, data, every_map, with_hostile_words

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


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
