"""What the report's pages are made with: templates, and files that come with the package."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from diffattr.report import formats

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


def render(template: str, **values: Any) -> str:
    """Return a page; a value that the template names and nobody gives is an error."""
    environment = Environment(
        loader=PackageLoader("diffattr.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(formats, name) for name in _FILTERS}
    return environment.get_template(template).render(**values)


def packaged(*parts: str) -> str:
    """Return the text of a file of this package."""
    return files("diffattr.report").joinpath(*parts).read_text(encoding="utf-8")
