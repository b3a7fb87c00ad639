"""Writes the JSON schema of the config: `python -m diffattr.schema schemas/config.schema.json`."""

import json
import sys

from diffattr.artifacts import write_text
from diffattr.benchmark import registries
from diffattr.config import json_schema


def schema_text() -> str:
    """Return the schema file's content, made from the config's types and the registries."""
    return json.dumps(json_schema(registries()), indent=2) + "\n"


if __name__ == "__main__":
    write_text(sys.argv[1], schema_text())
