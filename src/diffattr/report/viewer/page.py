"""The viewer's page, which holds no data."""

import base64
import hashlib
from collections.abc import Sequence
from typing import get_args

from markupsafe import Markup

from diffattr.benchmark.methods import Needs
from diffattr.report.rendering import packaged, render
from diffattr.report.viewer.content import Method, Split
from diffattr.report.viewer.data_files import as_json

PACKAGE = "diffattr.report.viewer"
SCRIPTS = ("state", "loading", "drawing", "words", "bar", "views", "show", "start")
"""Files of static/, in the order in which they run. They become one script, so that the page's
content security policy can allow it by its hash, and need no server, as modules would."""


def html(
    title: str,
    methods: Sequence[Method],
    splits: Sequence[Split],
    n_train: int,
    has_maps: bool,
    report: str | None,
) -> str:
    """Return the page; `report` is where the report lies, None without a link to it."""
    groups = list(dict.fromkeys([*get_args(Needs), *(method.needs for method in methods)]))
    about = {
        "title": title,
        "n_train": n_train,
        "groups": groups,
        "methods": [
            {"name": m.name, "group": groups.index(m.needs), "features": m.features}
            for m in methods
        ],
        "splits": [
            {"name": split.name, "words": split.words, "id_words": split.id_words}
            for split in splits
        ],
    }
    style = packaged("templates", "base.css") + packaged("static", "viewer.css", package=PACKAGE)
    script = _script()
    return render(
        "queries.html.jinja",
        package=PACKAGE,
        title=title,
        about=Markup(as_json(about)),
        has_maps=has_maps,
        report=report,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _script() -> str:
    parts = [packaged("static", f"{name}.js", package=PACKAGE) for name in SCRIPTS]
    return "\n".join(['"use strict";\n(() => {', *parts, "})();\n"])


def _hash(text: str) -> str:
    """Return what lets this inline text, and no other, past the page's content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
