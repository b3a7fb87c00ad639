import base64
import copy
import io
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from PIL import Image
from update_results import section

from diffattr.attribution import METHODS
from diffattr.report import figures, formats, page, pictures, table
from diffattr.report.structs import Report
from diffattr.report.sweeps import Cell, CellLds, SweepTable

HOSTILE = '<script>alert("x")</script><img src=https://example.org/x.png>'
VOID = {"meta", "img", "br", "link"}


class Read(HTMLParser):
    """What a browser would see: elements, cells, texts; an error where tags do not match."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.tables: list[dict[str, bool]] = []
        self.text, self.styles = "", ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append({"caption": False})
        if tag == "caption":
            self.tables[-1]["caption"] = True
        if tag == "td":
            self.cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            self.styles += data
        elif "script" not in self._open:
            self.text += data
            if "td" in self._open:
                self.cells[-1] += data


def leaves(value):
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member)
    else:
        yield value


def shown(numbers, images):
    """Return the page of a report that a test has changed."""
    return page.html(msgspec.convert(numbers, Report), images)


PLOTS = (
    figures.intervals,
    figures.lambda_curves,
    figures.lds_against_gradients,
    lambda _, table: figures.pairs(table),
)
PAGES = {"queries/queries.html", "sweeps.html", "counterfactual.html", "index.html"}
"""What lies beside a page and may be linked from it."""


def test_the_page_refers_to_nothing_outside_itself(html):
    read = Read(html)
    for tag, attributes in read.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "data", "action", "poster", "background"):
            value = attributes.get(name)
            beside = tag == "a" and value in PAGES
            assert value is None or beside or value.startswith(("#", "data:image/"))
    assert "@import" not in read.styles
    targets = re.findall(r"url\(\s*['\"]?([^'\")]{0,11})", read.styles)
    assert targets
    assert set(targets) == {"data:image/"}
    # A browser enforces the same.
    (policy,) = (a["content"] for _, a in read.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_plots_refer_to_nothing_outside_themselves(report):
    for lds in report.lds:
        for plot in PLOTS:
            for element in ElementTree.fromstring(plot(report, lds)).iter():
                for name, value in element.attrib.items():
                    assert "://" not in value
                    assert not name.endswith("href") or value.startswith(("#", "data:image/png"))


def test_every_number_in_the_tables_is_in_the_json(numbers, html):
    known = list(leaves(numbers))
    written = {str(leaf) for leaf in known}
    of_numbers = [x for x in known if isinstance(x, int | float) and not isinstance(x, bool)]
    for name in ("fixed", "signed", "rank", "percent", "certainty", "short", "seconds"):
        written |= {getattr(formats, name)(float(x)) for x in of_numbers}
    written |= {formats.size(x) for x in of_numbers if isinstance(x, int)}
    words = {re.sub(r"^(over|below) ", "", text) for text in written}
    cells = Read(html).cells
    checked = 0
    for cell in cells:
        if cell in written:
            continue
        for token in re.findall(r"(?<![\w.-])[-+]?\d[\d.e+-]*%?(?![\w-])", cell):
            assert token in words, cell
            checked += 1
    assert checked > 20


def test_sort_keys_are_numbers_of_the_json(numbers, html):
    known = {str(leaf) for leaf in leaves(json.loads(json.dumps(numbers)))}
    keys = [a["data-sort"] for tag, a in Read(html).elements if "data-sort" in a]
    assert len(keys) > 100
    assert set(keys) - {""} <= known


def test_page_and_table_are_made_from_the_json_alone(make_folder, images):
    report = make_folder().gather()
    text = json.dumps(msgspec.to_builtins(report), sort_keys=True)
    again = msgspec.json.decode(text, type=Report)
    assert page.html(again, images) == page.html(report, images)
    assert table.text(again) == table.text(report)


def test_a_method_that_answers_on_one_split_only_is_drawn_there_only(report):
    lds = report.lds[0]
    compared = [m.name for m in report.methods if m.gradients_per_image is not None]
    assert compared
    for name in compared:
        rest = [row for row in lds.methods if row.name != name]
        elsewhere = msgspec.structs.replace(lds, methods=rest)
        for draw in (figures.intervals, figures.lambda_curves):
            assert len(draw(report, elsewhere)) < len(draw(report, lds))
        figures.lds_against_gradients(report, elsewhere)
        figures.lds_against_seconds(report, elsewhere)


def test_same_numbers_give_the_same_plots(report):
    for lds in report.lds:
        for plot in PLOTS:
            assert plot(report, lds) == plot(copy.deepcopy(report), copy.deepcopy(lds))


def test_one_seed_is_said_in_words(make_folder, images):
    report = make_folder(seeds=(0,)).gather()
    read = Read(page.html(report, images))
    assert "The noise ceiling is unavailable: each subset was trained with one seed" in read.text
    assert sum(cell.startswith("Ceiling unavailable") for cell in read.cells) == 2
    assert table.text(report).count("The ceiling is unavailable") == 2


def test_several_seeds_put_the_bound_into_the_tables(report, html):
    read = Read(html)
    assert read.cells.count("bound") == 2
    assert read.cells.count("0.812") == 2
    assert "unavailable" not in read.text
    assert "unavailable" not in table.text(report)
    assert table.text(report).count("(bound)") == 2


def test_no_planted_queries_is_said_in_words(make_folder, images):
    report = make_folder(n_planted=0).gather()
    assert "has no planted queries" in Read(page.html(report, images)).text
    assert "recall@1" not in table.text(report)


def test_a_report_without_measurement_has_no_tables_of_it(make_folder, images, as_json):
    report = make_folder(is_measured=False).gather()
    assert json.loads(as_json(report))["lds"] == []
    read = Read(page.html(report, images))
    assert "nothing on this page says whether an answer is right" in read.text
    sections = [a["id"] for tag, a in read.elements if tag == "h2"]
    assert sections == ["methods", "planted", "queries", "checks", "cost", "provenance"]
    # By the rule and by it again; pixels have none.
    assert [(m.name, m.lam) for m in report.methods] == [
        ("pixel-cosine", None),
        ("d-trak-2", 0.002),
        ("trak-2", 0.2),
    ]
    assert "1003.png" in read.text
    assert "7 in val (your queries)" in read.text
    opened = [a for tag, a in read.elements if tag == "details" and "open" in a]
    assert len(opened) == sum(len(group.queries) for group in report.queries)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("higher", "the claim shows up."),
        ("lower", "the opposite shows up."),
        ("undecided", "these data do not decide."),
    ],
)
def test_the_claim_about_d_trak_is_answered_from_the_numbers(numbers, images, verdict, words):
    for lds in numbers["lds"]:
        lds["d_trak"][0]["verdict"] = verdict
    text = Read(shown(numbers, images)).text
    answers = ("the claim shows up.", "the opposite shows up.", "these data do not decide.")
    assert {answer: text.count(answer) for answer in answers if answer in text} == {words: 2}


@pytest.mark.parametrize(("low", "count"), [(-0.01, 2), (0.01, 0)])
def test_a_best_method_that_may_be_guessing_is_said_to_be(numbers, images, low, count):
    for lds in numbers["lds"]:
        lds["methods"][0]["interval"][0] = low
    text = Read(shown(numbers, images)).text
    assert text.count("not distinguishable from guessing") == count


def test_without_a_pair_nothing_is_said_about_d_trak(numbers, images):
    for lds in numbers["lds"]:
        lds["d_trak"] = []
    numbers["claim"] = {"higher": 0, "lower": 0, "undecided": 0}
    assert "Is D-TRAK better" not in Read(shown(numbers, images)).text


def renamed(value, old, new):
    if isinstance(value, dict):
        return {key: renamed(member, old, new) for key, member in value.items()}
    if isinstance(value, list):
        return [renamed(member, old, new) for member in value]
    return new if value == old else value


def test_hostile_names_are_text(numbers, images):
    numbers = renamed(numbers, "trak-4", HOSTILE)
    numbers["config"]["data"]["source"] = HOSTILE
    for group in numbers["queries"]:
        for query in group["queries"]:
            query["label"] = HOSTILE
            query["methods"][0]["proponents"][0]["label"] = HOSTILE
    read = Read(shown(numbers, images))
    assert [tag for tag, _ in read.elements].count("script") == 2
    assert not any("example.org" in (a.get("src") or "") for _, a in read.elements)
    assert read.text.count(HOSTILE) > 10


def test_every_image_is_embedded_once_and_exactly(html, images):
    read = Read(html)
    rules = re.findall(
        r'\.([a-z]+)-(\d+)\{background-image:url\("data:image/png;base64,([^"]+)"\)\}', read.styles
    )
    shown = {
        name
        for _, a in read.elements
        for name in (a.get("class") or "").split()
        if re.fullmatch(r"(train|val|gen|planted)-\d+", name)
    }
    assert len(rules) == len(shown)
    assert {f"{split}-{position}" for split, position, _ in rules} == shown
    for split, position, data in rules:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), dtype=float)
        expected = (images[split][int(position), 0] + 1) * 127.5
        # Rounding to 8 bits.
        assert np.abs(pixels - expected).max() <= 0.5 + 1e-4


def test_many_colour_images_stay_within_the_budget():
    rng = np.random.default_rng(0)
    smooth = rng.uniform(-1, 1, (1500, 3, 4, 4)).repeat(8, axis=2).repeat(8, axis=3)
    noisy = (smooth + rng.normal(0, 0.15, smooth.shape)).astype(np.float32)
    css = pictures.stylesheet({"train": noisy}, [("train", i) for i in range(1500)])
    assert len(css) < 3_000_000
    assert css.count("data:image/webp") == 1500


def test_large_images_are_scaled_down():
    css = pictures.stylesheet({"val": np.zeros((1, 3, 256, 128), np.float32)}, [("val", 0)])
    data = re.search(r"base64,([^\"]+)", css)
    assert data is not None
    assert Image.open(io.BytesIO(base64.b64decode(data[1]))).size == (32, 64)


def test_the_page_can_be_read_by_everyone(html):
    read = Read(html)
    assert all(found["caption"] for found in read.tables)
    assert all(a.get("alt") for tag, a in read.elements if tag == "img")
    assert all(a.get("aria-label") for _, a in read.elements if a.get("role") == "img")
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for tag, a in read.elements if tag == "a"} - PAGES
    assert targets <= {f"#{name}" for name in ids}
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_best_of_each_kernel_kind_is_open(numbers, html):
    opened = [a for tag, a in Read(html).elements if tag == "details"]
    n_queries = sum(len(group["queries"]) for group in numbers["queries"])
    # Best TRAK and best D-TRAK of each query; the config and the curves stay closed.
    assert sum("open" in a for a in opened) == 2 * n_queries


def test_the_text_table_has_every_method_and_the_planted_truth(numbers, report):
    lines = table.text(report).splitlines()
    for method in numbers["methods"]:
        assert sum(line.split()[:1] == [method["name"]] for line in lines) == 3
    for row in numbers["planted"]["methods"]:
        assert any(
            line.split()
            == [row["name"], f"{100 * row['recall_at_1']:.0f}%", f"{row['mean_rank']:.2f}"]
            for line in lines
        )


def test_the_page_of_results_says_what_the_report_says(numbers, report, tmp_path):
    parts = list(section(report, tmp_path / "made-up"))
    (claim, *_) = [part for part in parts if "D-TRAK against TRAK" in part]
    for lds in numbers["lds"]:
        (pair,) = lds["d_trak"]
        cells = (lds["split"], "d-trak-4 - trak-4", f"{pair['difference']:+.3f}", pair["verdict"])
        assert any(all(f"| {cell} " in row for cell in cells) for row in claim.splitlines())
    (best,) = [part for part in parts if "The best of each group" in part]
    groups = {row["needs"] for row in numbers["methods"]}
    assert len(best.splitlines()) == 2 + 2 + 2 * len(groups)
    drawn = re.findall(r"!\[[^]]+\]\(([^)]+)\)", "".join(parts))
    assert {Path(file).name for file in drawn} == {f.name for f in tmp_path.rglob("*.svg")}
    assert all(ElementTree.parse(tmp_path / file) for file in drawn)
    # Intervals, lambda and pairs on two splits; made-up numbers have no costs and no sweeps.
    assert len(drawn) == 3 * 2


@pytest.mark.parametrize(
    ("draws", "axes"), [(1, ["n_timesteps"]), (2, ["n_timesteps", "gradients_per_image"])]
)
def test_a_sweep_is_drawn_along_its_cost_where_that_is_not_the_timesteps(report, draws, axes):
    cells = [
        Cell(
            method=f"s-t{n}",
            values={"n_timesteps": n},
            gradients_per_image=n * draws,
            seconds=None,
            splits={
                "val": CellLds(
                    lds=0.1 * n,
                    interval=(0.0, 0.5),
                    selected_lambda=None,
                    oracle_lambda=None,
                    oracle_lds=0.5,
                    at_lambda={},
                )
            },
        )
        for n in (1, 4)
    ]
    sweep = SweepTable(
        name="s",
        method="trak",
        features="t/loss",
        axes={"n_timesteps": [1, 4]},
        lambdas=[],
        cells=cells,
    )
    drawn = list(figures.of_sweep(report, sweep))
    assert [(axis, split) for axis, split, _ in drawn] == [(axis, "val") for axis in axes]


def test_no_two_registered_methods_look_alike(report):
    first = report.methods[0]
    methods = [
        msgspec.structs.replace(first, method=name, has_lambda=kind.has_lambda)
        for name, kind in METHODS.items()
    ]
    found = figures.looks(msgspec.structs.replace(report, methods=methods))
    assert len(set(found.values())) == len(METHODS)


def test_zero_has_no_sign_but_the_end_of_an_interval_has():
    assert formats.fixed(-0.0001) == "0.000"
    assert formats.percent(-0.0001) == "0%"
    assert (formats.fixed(-0.001), formats.percent(-0.01)) == ("-0.001", "-1%")
    # An interval from -.04 to just below zero is evidence; it must not seem to contain zero.
    assert formats.between((-0.04, -0.0001)) == "-0.040 to -0.000"
    assert formats.signed(-0.0001) == "-0.000"
