"""Config errors as sentences: which key, what was found, what is allowed."""

import difflib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from diffattr import plugins

_BOUNDS = {
    **dict.fromkeys(("minimum", "minItems", "minProperties"), "at least"),
    **dict.fromkeys(("maximum", "maxItems"), "at most"),
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


class ConfigError(ValueError):
    """A config is invalid; the message has one line per error."""


def refuse(lines: Iterable[str], source: str = "") -> None:
    """Raise a ConfigError with these lines, if there are any, each after its source."""
    prefix = f"{source}: " if source else ""
    if lines := list(dict.fromkeys(lines)):
        raise ConfigError("\n".join(f"{prefix}{line}" for line in lines))


def sentences(error: Any) -> list[str]:
    """Return one sentence per fault in a `jsonschema.ValidationError`."""
    path, found, rule = list(error.absolute_path), error.instance, error.validator_value
    place = _where(path)
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            return [
                f"{_where([*path, key])}: unknown key{_suggestion(key, known)}"
                f" (known here: {', '.join(known)})"
                for key in found
                if key not in known
            ]
        case "required":
            missing = (_where([*path, key]) for key in rule if key not in found)
            return [f"{key}: this key is missing" for key in missing]
        case "enum":
            allowed = [str(value) for value in rule]
            return [
                f"{place}: found {_shown(found)}, allowed: {', '.join(allowed)}"
                f"{_suggestion(found, allowed)}"
            ]
        case "type":
            types = [rule] if isinstance(rule, str) else rule
            return [f"{place}: found {_shown(found)}, expected {' or '.join(types)}{_hint(found)}"]
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return [f"{place}: found {found}, allowed: {_BOUNDS[error.validator]} {rule}"]
        case "minItems" | "minProperties" | "maxItems":
            bound = f"{_BOUNDS[error.validator]} {rule}"
            return [f"{place}: found {len(found)} entries, expected {bound}"]
        case "items" if rule is False:
            return []  # maxItems reports it
        case "uniqueItems":
            return [f"{place}: found {_shown(found)}, expected every entry only once"]
        case "pattern":
            return [f"{place}: found {_shown(found)}, allowed: lower-case letters, digits and -"]
        case "anyOf" if "registry" in error.schema:
            built_in, registry = error.schema["anyOf"][0]["enum"], error.schema["registry"]
            names = [*built_in, *plugins.installed(registry)]
            if found in names:
                return []
            return [
                f"{place}: found {_shown(found)}, allowed: {', '.join(names)}, or a plug-in as"
                f" module:object{_suggestion(found, names)}"
            ]
        case "anyOf":
            branches = [e for e in error.context if e.validator != "type" or e.path]
            if branches:
                return [line for branch in branches for line in sentences(branch)]
            types = [e.validator_value for e in error.context]
            return [f"{place}: found {_shown(found)}, expected {' or '.join(map(str, types))}"]
        case _:
            return [f"{place}: {error.message}"]


def unlike_json(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield one sentence per value that YAML can represent but JSON, hence the schema, cannot."""
    match value:
        case dict():
            for key, member in value.items():
                if not isinstance(key, str):
                    yield (
                        f"{_where([*path, key])}: found the key {key!r}, which YAML does not read"
                        " as a string; put it in quotes"
                    )
                yield from unlike_json(member, (*path, str(key)))
        case list():
            for index, member in enumerate(value):
                yield from unlike_json(member, (*path, str(index)))
        case float() if not math.isfinite(value):
            yield f"{_where(path)}: found {value}, expected a finite number"
        case None | bool() | int() | float() | str():
            pass
        case _:
            yield f"{_where(path)}: found {value}, which YAML reads as a {type(value).__name__}"


def _where(path: Any) -> str:
    return ".".join(str(key) for key in path) or "(top level)"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(name: Any, known: list[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _hint(found: Any) -> str:
    """Explain that YAML reads a number with an exponent but no decimal point as a string."""
    try:
        number = float(found) if isinstance(found, str) else math.nan
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    written = int(number) if number.is_integer() else number
    return f" (YAML reads {found} as a string; write {written!r})"
