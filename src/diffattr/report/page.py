"""The page: one HTML file that needs nothing else, made from the numbers and the images alone."""

import base64
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from diffattr.report import figures, formats, pictures

_FILTERS = (
    "fixed",
    "signed",
    "between",
    "rank",
    "percent",
    "small_percent",
    "level",
    "certainty",
    "short",
    "seconds",
    "size",
)
_SORTABLE = files("diffattr.report") / "vendor" / "sortable-tablesort"


def html(
    numbers: Mapping[str, Any], images: Mapping[str, Float[np.ndarray, "_ channel height width"]]
) -> str:
    """Return the page; `images` holds each split's images in [-1, 1]."""
    environment = Environment(
        loader=PackageLoader("diffattr.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(formats, name) for name in _FILTERS}
    return environment.get_template("page.html.jinja").render(
        numbers=numbers,
        splits={table["split"]: table for table in numbers["lds"]},
        kinds={method["name"]: method for method in numbers["methods"]},
        opened=set(_opened(numbers)),
        figures=_figures(numbers),
        config=yaml.safe_dump(numbers["config"], sort_keys=True, allow_unicode=True),
        styles=[
            Markup(_vendored("sortable-base.min.css")),
            Markup(_packaged("page.css")),
            Markup(pictures.stylesheet(images, _shown(numbers))),
        ],
        scripts=[Markup(_vendored(name)) for name in ("sortable.min.js", "sortable.a11y.min.js")],
    )


def _vendored(name: str) -> str:
    return (_SORTABLE / name).read_text(encoding="utf-8")


def _packaged(name: str) -> str:
    return (files("diffattr.report") / "templates" / name).read_text(encoding="utf-8")


def _figures(numbers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return each split's plots as data URIs: an image of its own cannot clash with the page."""
    drawn = {
        table["split"]: {
            "intervals": figures.intervals(numbers, table),
            "lambda_curves": figures.lambda_curves(numbers, table),
            "gradients": figures.lds_against_gradients(numbers, table),
        }
        for table in numbers["lds"]
    }
    return {
        split: {name: _svg_uri(svg) for name, svg in plots.items() if svg is not None}
        for split, plots in drawn.items()
    }


def _svg_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _shown(numbers: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield split and position of every image on the page."""
    for group in numbers["queries"]:
        for query in group["queries"]:
            yield group["split"], query["index"]
            for method in query["methods"]:
                for side in ("proponents", "opponents"):
                    yield from (("train", found["train"]) for found in method[side])


def _opened(numbers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (split, method) of the galleries that are open at first: each kernel kind's best."""
    methods = {method["name"]: method for method in numbers["methods"]}
    rankings = {
        table["split"]: [row["name"] for row in table["methods"]] for table in numbers["lds"]
    }
    for group in numbers["queries"]:
        # Planted queries have no LDS; they are shown like val, whose lambda they take.
        ranking = rankings.get(group["split"], rankings["val"])
        best: dict[str, str] = {}
        for name in ranking:
            if methods[name]["has_lambda"]:
                best.setdefault(methods[name]["method"], name)
        for name in best.values() or ranking[:1]:
            yield group["split"], name
