"""Writes the JSON schema of configs: `python -m diffattr.schema schemas`."""

import json
import sys
from pathlib import Path

from diffattr.artifacts import write_text
from diffattr.benchmark import registries
from diffattr.config import json_schema

CONFIG = "config.schema.json"


def schema_text() -> str:
    """Return the schema file's content, made from the config's types and the registries."""
    return json.dumps(json_schema(registries()), indent=2) + "\n"


if __name__ == "__main__":
    write_text(Path(sys.argv[1]) / CONFIG, schema_text())
