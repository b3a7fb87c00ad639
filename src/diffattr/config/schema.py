"""The JSON schema of a config, and the conversion of raw content to typed sections."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from diffattr import plugins
from diffattr.config.errors import ConfigError, refuse, sentences, unlike_json
from diffattr.config.sections import Config

T = TypeVar("T")


def json_schema(registries: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """Return the JSON schema of a config; `registries` has the built-in names of each registry.

    If plug-ins can extend a registry, `module:object` is allowed too. Names of installed plug-ins
    differ between machines; only `check` accepts them. Keys that `diffattr.benchmark` completes
    are optional.
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


def check(raw: Any, schema: dict[str, Any], source: str) -> None:
    """Check a file's content (as read from YAML) against a schema.

    Raises:
        ConfigError: one line per error: the key's path, what was found, what is allowed.
    """
    from jsonschema import Draft202012Validator

    lines = list(unlike_json(raw))
    if not lines:
        errors = Draft202012Validator(schema).iter_errors(raw)
        ordered = sorted(errors, key=lambda error: [str(key) for key in error.absolute_path])
        lines = [line for error in ordered for line in sentences(error)]
    refuse(lines, source)


def typed(raw: Any, kind: type[T], source: str) -> T:
    """Return content that matches its schema as a `kind`; ConfigError if a key is missing."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).rstrip("`").partition(" - at `$.")
        words = message.split("`")
        if message.startswith("Object missing required field"):
            path, message = ".".join(filter(None, [path, words[1]])), "this key is missing"
        raise ConfigError(f"{source}: {path or '(top level)'}: {message}") from error


def yaml_text(config: Config) -> str:
    """Return the YAML text of a config."""
    import yaml

    builtins = msgspec.to_builtins(config)
    return yaml.safe_dump(builtins, sort_keys=False, default_flow_style=None, width=100)
