"""Templates, and files that come with the package, from which the pages are made."""

import inspect
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from diffattr.report import formats


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
