"""The page: one HTML file that needs nothing else, made from the numbers and the images alone."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np
import yaml
from jaxtyping import Float
from markupsafe import Markup

from diffattr.benchmark.methods import Needs
from diffattr.report import figures, formats, pictures, rendering

_MEANINGS = {
    "pixel-l2": "Distance between the pixels (in [-1, 1]) of the original and the redrawn image:"
    " the higher, the further it moved.",
    "loss-change": "How much the denoising loss of the original image rose under the retrained"
    " model: higher means that the removed images helped. After removing opponents it should rise"
    " less than after a random removal, or fall.",
}
Images = Mapping[str, Float[np.ndarray, "_ channel height width"]]


def html(numbers: Mapping[str, Any], images: Images) -> str:
    """Return the page; `images` holds each split's images in [-1, 1]."""
    return _rendered(
        "page.html.jinja",
        numbers,
        pictures.stylesheet(images, _shown(numbers)),
        split_words=formats.SPLIT_WORDS,
        splits={table["split"]: table for table in numbers["lds"]},
        kinds={method["name"]: method for method in numbers["methods"]},
        groups=get_args(Needs),
        opened=set(_opened(numbers)),
        figures=_figures(numbers),
        config=yaml.safe_dump(numbers["config"], sort_keys=True, allow_unicode=True),
    )


def own_model_html(numbers: Mapping[str, Any], images: Images) -> str:
    """Return the page on a model that somebody already has; `images` as for `html`."""
    return _rendered(
        "own_model.html.jinja",
        numbers,
        pictures.stylesheet(images, _shown(numbers)),
        split_words=formats.OWN_SPLIT_WORDS,
        config=yaml.safe_dump(numbers["config"], sort_keys=True, allow_unicode=True),
    )


def sweeps_html(numbers: Mapping[str, Any]) -> str:
    """Return the page of all sweeps."""
    drawn = {
        sweep["name"]: [
            (axis, split, _svg_uri(svg)) for axis, split, svg in figures.of_sweep(numbers, sweep)
        ]
        for sweep in numbers["sweeps"]
    }
    return _rendered("sweeps.html.jinja", numbers, "", figures=drawn)


def counterfactual_html(numbers: Mapping[str, Any], images: Images) -> str:
    """Return the page of the counterfactual evaluation.

    `images` holds those of `gen`, and under redrawn-0, redrawn-1, ... what each removal made of the
    chosen queries.
    """
    found = numbers["counterfactual"]
    removals = found["removals"]
    measures = sorted(removals[0]["measures"], key=lambda name: (name not in _MEANINGS, name))
    fractions = list(dict.fromkeys(row["fraction"] for row in removals))
    shown = [("gen", query) for query in found["queries"]]
    places = range(len(found["queries"]))
    shown += [(f"redrawn-{number}", p) for number in range(len(removals)) for p in places]
    return _rendered(
        "counterfactual.html.jinja",
        numbers,
        pictures.stylesheet(images, shown),
        measures=measures,
        meanings=_MEANINGS,
        fractions=fractions,
        figures={
            (measure, fraction): _svg_uri(figures.moves(found, measure, fraction))
            for measure in measures
            for fraction in fractions
        },
    )


def _rendered(template: str, numbers: Mapping[str, Any], images: str, **values: Any) -> str:
    return rendering.render(
        template,
        numbers=numbers,
        styles=[
            Markup(_vendored("sortable-base.min.css")),
            *(Markup(rendering.packaged("templates", f"{name}.css")) for name in ("base", "page")),
            Markup(images),
        ],
        scripts=[Markup(_vendored(name)) for name in ("sortable.min.js", "sortable.a11y.min.js")],
        **values,
    )


def _vendored(name: str) -> str:
    return rendering.packaged("vendor", "sortable-tablesort", name)


def _figures(numbers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return each split's plots as data URIs: an image of its own cannot clash with the page."""
    drawn = {
        table["split"]: {
            "intervals": figures.intervals(numbers, table),
            "lambda_curves": figures.lambda_curves(numbers, table),
            "gradients": figures.lds_against_gradients(numbers, table),
            "seconds": figures.lds_against_seconds(numbers, table),
            "pairs": figures.pairs(table),
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
