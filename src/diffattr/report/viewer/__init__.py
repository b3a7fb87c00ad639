"""A folder in which to look at every query of a benchmark, straight from disk.

`queries.html` holds no data. It loads what it needs, without a server:

    data/train.js        class and id of every training image that is shown anywhere
    data/<split>.js      class, id, LDS or rank of the copy of every query of a split
    data/<split>-<n>.js  the extreme scores of the queries from n on, some 100 kB per file
    images/<split>-<n>   sheets of up to 256 images, each image once

The same inputs give the same bytes.
"""

import base64
import hashlib
from pathlib import Path
from typing import get_args

from markupsafe import Markup

from diffattr.artifacts import atomic_write
from diffattr.benchmark.methods import Needs
from diffattr.report import formats
from diffattr.report.files import Inputs
from diffattr.report.page import packaged, render
from diffattr.report.pictures import Images, write_sheets
from diffattr.report.structs import Report
from diffattr.report.viewer.data_files import as_json, described, extremes, write, write_queries

SCRIPTS = ("state", "loading", "drawing", "words", "bar", "views", "show", "start")
"""Files of static/, in the order in which they run. They become one script, so that the page's
content security policy can allow it by its hash, and need no server, as modules would."""


def write_viewer(
    directory: str | Path, report: Report, inputs: Inputs, images: Images, top: int
) -> None:
    """Write the folder, whole or not at all; what was there is replaced.

    Every method's `top` proponents and as many opponents are shown. The scores of all methods
    together would not fit into memory, so only these are kept.

    Raises:
        ArtifactError: an input is missing or damaged.
        ValueError: scores or maps are not as expected.
    """
    names = [method.name for method in report.methods]
    ranks = {row.name: row.ranks for row in report.planted.methods} if report.planted else {}
    # Rounded to the digits that are shown, so that they sort as seen.
    lds = {
        table.split: {row.name: [*map(_as_shown, row.per_query)] for row in table.methods}
        for table in report.lds
    }
    shown: set[int] = set()
    with atomic_write(directory) as folder:
        for part in ("data", "images"):
            (folder / part).mkdir(parents=True)
        for group in report.queries:
            split, methods, answers = group.split, report.ranking(group.split), []
            for method in methods:
                shape = group.n_queries, report.n_train
                positions, texts = extremes(inputs, method, split, shape, top)
                shown.update(positions.ravel().tolist())
                answers.append(texts)
            planted = report.planted if split == "planted" else None
            index = {
                **described(inputs, split),
                "methods": [names.index(method) for method in methods],
                "lds": [lds[split][method] for method in methods] if split in lds else None,
                "ranks": planted and [ranks[method] for method in methods],
                "copies": planted and planted.copies,
                "starts": write_queries(folder, split, group.n_queries, answers),
                "sheets": write_sheets(folder / "images", split, images[split]),
            }
            write(folder, split, as_json(index))
        positions = sorted(shown)
        index = {
            **described(inputs, "train", positions),
            "positions": positions,
            "sheets": write_sheets(folder / "images", "train", images["train"], positions),
        }
        write(folder, "train", as_json(index))
        html = _html(report, has_maps=bool(inputs.files["maps"]))
        (folder / "queries.html").write_text(html, encoding="utf-8")


def _as_shown(lds: float) -> float:
    return float(formats.fixed(lds))


def _html(report: Report, has_maps: bool) -> str:
    """Return the page, which holds no data."""
    groups, words = get_args(Needs), formats.split_words(report.is_measured)
    about = {
        "title": report.name,
        "n_train": report.n_train,
        "groups": groups,
        "methods": [
            {"name": m.name, "group": groups.index(m.needs), "features": m.features}
            for m in report.methods
        ],
        "splits": [
            {
                "name": group.split,
                "words": words[group.split],
                "id_words": "noise number" if group.queries[0].name is None else "image",
            }
            for group in report.queries
        ],
    }
    style = packaged("templates", "base.css") + packaged("viewer", "static", "viewer.css")
    parts = [packaged("viewer", "static", f"{name}.js") for name in SCRIPTS]
    script = "\n".join(['"use strict";\n(() => {', *parts, "})();\n"])
    return render(
        "viewer.html.jinja",
        title=report.name,
        about=Markup(as_json(about)),
        has_maps=has_maps,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    """Return what lets this inline text, and no other, past the page's content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
