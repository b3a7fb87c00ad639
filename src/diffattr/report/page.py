"""The pages: HTML files that need nothing else, made from the report and the images alone."""

import base64
import inspect
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, get_args

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from diffattr.benchmark.methods import Needs
from diffattr.counterfactual.result import CounterfactualResult
from diffattr.report import figures, formats, pictures
from diffattr.report.pictures import Images
from diffattr.report.structs import Report

_MEANINGS = {
    "pixel-l2": "Distance between the pixels (in [-1, 1]) of the original and the redrawn image:"
    " the higher, the more the image changed.",
    "loss-change": "How much the denoising loss of the original image rose under the retrained"
    " model: higher means that the removed images helped. After removing opponents it should rise"
    " less than after a random removal, or fall.",
}
_COSINE = (
    "Cosine between the embeddings of the original and the redrawn image: the lower, the more the"
    " image changed."
)


def html(report: Report, images: Images) -> str:
    """Return the page of the whole report."""
    return _rendered(
        "page.html.jinja",
        report,
        pictures.stylesheet(images, _shown(report)),
        split_words=formats.split_words(report.is_measured),
        methods={method.name: method for method in report.methods},
        groups=get_args(Needs),
        opened=set(_opened(report)),
        figures=_figures(report),
        config=yaml.safe_dump(report.config, sort_keys=True, allow_unicode=True),
    )


def sweeps_html(report: Report) -> str:
    """Return the page of all sweeps."""
    drawn = {
        sweep.name: [
            (axis, split, _svg_uri(svg)) for axis, split, svg in figures.of_sweep(report, sweep)
        ]
        for sweep in report.sweeps
    }
    return _rendered("sweeps.html.jinja", report, "", figures=drawn)


def counterfactual_html(report: Report, found: CounterfactualResult, images: Images) -> str:
    """Return the page of the counterfactual evaluation.

    `images` holds those of `gen`, and under redrawn-0, redrawn-1, ... the chosen queries as redrawn
    after each removal.
    """
    removals = found.removals
    measures = sorted(removals[0].measures, key=lambda name: (name not in _MEANINGS, name))
    fractions = list(dict.fromkeys(row.fraction for row in removals))
    shown = [("gen", query) for query in found.queries]
    places = range(len(found.queries))
    shown += [(f"redrawn-{number}", p) for number in range(len(removals)) for p in places]
    return _rendered(
        "counterfactual.html.jinja",
        report,
        pictures.stylesheet(images, shown),
        found=found,
        meanings={measure: _MEANINGS.get(measure, _COSINE) for measure in measures},
        fractions=fractions,
        figures={
            (measure, fraction): _svg_uri(figures.moves(found, measure, fraction))
            for measure in measures
            for fraction in fractions
        },
    )


def _rendered(template: str, report: Report, images: str, **values: Any) -> str:
    styles = (packaged("templates", f"{name}.css") for name in ("base", "page"))
    return render(
        template,
        report=report,
        styles=[*map(Markup, (_vendored("sortable-base.min.css"), *styles, images))],
        scripts=[Markup(_vendored(name)) for name in ("sortable.min.js", "sortable.a11y.min.js")],
        **values,
    )


def _vendored(name: str) -> str:
    return packaged("vendor", "sortable-tablesort", name)


def render(template: str, **values: Any) -> str:
    """Return a page made from a template; every format is a filter there."""
    environment = Environment(
        loader=PackageLoader("diffattr.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= inspect.getmembers(formats, inspect.isfunction)
    return environment.get_template(template).render(**values)


def packaged(*parts: str) -> str:
    """Return the text of a file that comes with this package."""
    return files("diffattr.report").joinpath(*parts).read_text(encoding="utf-8")


def _figures(report: Report) -> dict[str, dict[str, str]]:
    """Return each split's plots as data URIs: an image of its own cannot clash with the page."""
    drawn = {
        table.split: {
            "intervals": figures.intervals(report, table),
            "lambda_curves": figures.lambda_curves(report, table),
            "gradients": figures.lds_against_gradients(report, table),
            "seconds": figures.lds_against_seconds(report, table),
            "pairs": figures.pairs(table),
        }
        for table in report.lds
    }
    return {
        split: {name: _svg_uri(svg) for name, svg in plots.items() if svg is not None}
        for split, plots in drawn.items()
    }


def _svg_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _shown(report: Report) -> Iterator[tuple[str, int]]:
    """Yield split and position of every image on the page."""
    for group in report.queries:
        for query in group.queries:
            yield group.split, query.index
            for method in query.methods:
                for image in (*method.proponents, *method.opponents):
                    yield "train", image.train


def _opened(report: Report) -> Iterator[tuple[str, str]]:
    """Yield (split, method) of the galleries that are open at first.

    Those of the best method of each kernel type; where nothing is measured, of the first method.
    """
    methods = {method.name: method for method in report.methods}
    for group in report.queries:
        ranking = report.ranking(group.split)
        best: dict[str, str] = {}
        for name in ranking if report.is_measured else ():
            if methods[name].has_lambda:
                best.setdefault(methods[name].method, name)
        for name in best.values() or ranking[:1]:
            yield group.split, name
