"""The viewer's page, which holds no data."""

import base64
import hashlib
from typing import get_args

from markupsafe import Markup

from diffattr.benchmark.methods import Needs
from diffattr.report import formats
from diffattr.report.rendering import packaged, render
from diffattr.report.structs import Report
from diffattr.report.viewer.data_files import as_json

SCRIPTS = ("state", "loading", "drawing", "words", "bar", "views", "show", "start")
"""Files of static/, in the order in which they run. They become one script, so that the page's
content security policy can allow it by its hash, and need no server, as modules would."""


def html(report: Report, has_maps: bool) -> str:
    """Return the page."""
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
