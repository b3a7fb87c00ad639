"""Templates, and files that come with the package, from which the pages are made."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from diffattr.report import formats

PACKAGE = "diffattr.report"
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


def render(template: str, *, package: str = PACKAGE, **values: Any) -> str:
    """Return a page made from one of a package's templates.

    Raises:
        UndefinedError: the template names a value that is not given.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(formats, name) for name in _FILTERS}
    return environment.get_template(template).render(**values)


def packaged(*parts: str, package: str = PACKAGE) -> str:
    """Return the text of a file that comes with a package."""
    return files(package).joinpath(*parts).read_text(encoding="utf-8")
