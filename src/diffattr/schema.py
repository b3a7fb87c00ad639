"""Writes the JSON schemas of configs: `python -m diffattr.schema schemas`."""

import json
import sys
from pathlib import Path

from diffattr.artifacts import write_text
from diffattr.benchmark import registries
from diffattr.config import SCHEMA_FILES, Config, OwnModel, json_schema


def schema_text(kind: type[Config] | type[OwnModel] = Config) -> str:
    """Return a schema file's content, made from the config's types and the registries."""
    return json.dumps(json_schema(registries(), kind), indent=2) + "\n"


if __name__ == "__main__":
    for kind, name in SCHEMA_FILES.items():
        write_text(Path(sys.argv[1]) / name, schema_text(kind))
