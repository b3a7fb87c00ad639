"""Value ranges and the base class of config sections."""

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*(?![\s\S])", description="a-z, 0-9 and -")]
Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
UNIQUE = Meta(min_length=1, extra_json_schema={"uniqueItems": True})
UNIQUE_IF_ANY = Meta(extra_json_schema={"uniqueItems": True})
Integers = Annotated[tuple[NonNegative, ...], UNIQUE]
Text = Annotated[str, Meta(min_length=1)]
COMPLETED = Meta(extra_json_schema={"completed": True})
"""Marks a key that `diffattr.benchmark.completion` can fill in if a config omits it."""


def registered(registry: str) -> Meta:
    """Mark a string as a name in a registry; `make schema` lists the allowed names."""
    return Meta(extra_json_schema={"registry": registry})


OutputFunction = Annotated[str, registered("output-functions")]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of keys that rejects unknown ones."""
