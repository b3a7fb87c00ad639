"""Writes the JSON schemas of configs and of report.json: `python -m diffattr.schema schemas`."""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from diffattr.artifacts import write_text
from diffattr.benchmark.registries import REGISTRIES
from diffattr.config import json_schema
from diffattr.report.structs import Report

CONFIG = "config.schema.json"
REPORT = "report.schema.json"
_FIELD = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def schema_text() -> str:
    """Return the schema of configs, from the config's types and the registries."""
    return json.dumps(json_schema(REGISTRIES), indent=2) + "\n"


def report_schema_text() -> str:
    """Return the schema of report.json; docstrings become the descriptions of fields."""
    schema = msgspec.json.schema(Report)
    types = {kind.__name__: kind for kind in _structs(Report)}
    for name, definition in schema["$defs"].items():
        _describe(definition, types[name])
    draft = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps({"$schema": draft, **schema}, indent=2) + "\n"


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield every struct that a type consists of, itself included."""
    parts = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        parts = get_type_hints(kind).values()
    for part in parts:
        yield from _structs(part)


def _describe(definition: dict[str, Any], kind: type) -> None:
    """Copy the descriptions of fields from the docstrings of a class and its bases."""
    docs = [inspect.cleandoc(base.__doc__ or "") for base in reversed(kind.__mro__)]
    definition["description"] = docs[-1].partition("\n\nAttributes:")[0]
    for name, text in (field for doc in docs for field in _FIELD.findall(doc)):
        definition["properties"].get(name, {})["description"] = " ".join(text.split())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_text(folder / CONFIG, schema_text())
    write_text(folder / REPORT, report_schema_text())
