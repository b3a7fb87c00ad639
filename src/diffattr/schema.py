"""Writes the JSON schemas of configs and of report.json: `python -m diffattr.schema schemas`."""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from diffattr.artifacts import write_text
from diffattr.benchmark import registries
from diffattr.config import json_schema
from diffattr.report.structs import Report

CONFIG = "config.schema.json"
REPORT = "report.schema.json"
_FIELD = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def schema_text() -> str:
    """Return the schema of configs, from the config's types and the registries."""
    return json.dumps(json_schema(registries()), indent=2) + "\n"


def report_schema_text() -> str:
    """Return the schema of report.json; docstrings become the descriptions of fields."""
    schema = msgspec.json.schema(Report)
    parts = {kind.__name__: kind for kind in _subclasses(msgspec.Struct) if ".report." in f"{kind}"}
    for name, definition in schema["$defs"].items():
        _describe(definition, parts[name])
    draft = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps({"$schema": draft, **schema}, indent=2) + "\n"


def _subclasses(kind: type) -> Iterator[type]:
    for found in kind.__subclasses__():
        yield found
        yield from _subclasses(found)


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
