"""The JSON schema of a config, and the conversion of what a file holds to the typed sections."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from diffattr import plugins
from diffattr.config.errors import ConfigError, sentences, unlike_json
from diffattr.config.sections import Config

T = TypeVar("T")


def json_schema(registries: dict[str, list[str]]) -> dict[str, Any]:
    """Return the JSON schema of a config; `registries` maps a registry's name to its entries.

    Where a plug-in may extend a registry, `module:object` is allowed too. Installed plug-ins differ
    from machine to machine: `converted` knows of them, the schema does not. Keys that
    `diffattr.benchmark` completes may be missing.
    """

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [fill(member) for member in node]
        if not isinstance(node, dict):
            return node
        if "required" in node:
            optional = [key for key, of in node["properties"].items() if of.get("completed")]
            node = {**node, "required": [key for key in node["required"] if key not in optional]}
        node = {key: fill(value) for key, value in node.items() if key != "completed"}
        if "registry" in node:
            names = sorted(registries[node["registry"]])
            if node["registry"] in plugins.GROUPS:
                return {**node, "anyOf": [{"enum": names}, {"pattern": plugins.PATTERN}]}
            del node["registry"]
            node["enum"] = names
        return node

    schema = fill(msgspec.json.schema(Config))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def load_schema(path: str | Path) -> dict[str, Any]:
    """Return the JSON schema of a config from its file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check(raw: Any, schema: dict[str, Any], source: str) -> None:
    """Refuse a file's content (as read from YAML) that does not fit a schema.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    from jsonschema import Draft202012Validator

    lines = list(unlike_json(raw))
    if not lines:
        errors = Draft202012Validator(schema).iter_errors(raw)
        ordered = sorted(errors, key=lambda error: [str(key) for key in error.absolute_path])
        lines = [line for error in ordered for line in sentences(error)]
    refuse(lines, source)


def converted(raw: Any, kind: type[T], schema: dict[str, Any], source: str) -> T:
    """Return a file's content (as read from YAML) as one of the types that describe it.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    check(raw, schema, source)
    return typed(raw, kind, source)


def typed(raw: Any, kind: type[T], source: str) -> T:
    """Return content that fits its schema as one of the types that describe it.

    Raises:
        ConfigError: a key is missing that could not be completed.
    """
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).rstrip("`").partition(" - at `$.")
        words = message.split("`")
        if message.startswith("Object missing required field"):
            path, message = ".".join(filter(None, [path, words[1]])), "this key is missing"
        raise ConfigError(f"{source}: {path or '(top level)'}: {message}") from error


def yaml_text(config: Config) -> str:
    """Return a config as a YAML file that stands for the same benchmark."""
    import yaml

    builtins = msgspec.to_builtins(config)
    return yaml.safe_dump(builtins, sort_keys=False, default_flow_style=None, width=100)


def refuse(lines: Iterator[str] | list[str], source: str) -> None:
    """Raise a ConfigError of some lines, if there are any, with the file before each."""
    if lines := list(dict.fromkeys(lines)):
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines))
