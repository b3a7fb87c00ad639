"""Configs that extend another file and contain only what differs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from diffattr.config.errors import ConfigError


def extended(raw: Any, files: Sequence[str | Path]) -> Any:
    """Return a config (as read from YAML) merged over the files that its key `extends` names.

    `extends` is one path or a list, whose later files override earlier ones. Mappings are merged
    key by key, lists and values replaced; null removes an existing key.

    Args:
        raw: the merged content of all `files`.
        files: the config files; paths in `extends` are relative to the file that contains it.

    Raises:
        ConfigError: an extended file cannot be read, or has `extends` itself.
    """
    if not isinstance(raw, Mapping) or "extends" not in raw:
        return raw
    wanted = raw["extends"]
    names = [wanted] if isinstance(wanted, str) else wanted
    extending = [file for file in map(Path, files) if _read(file).get("extends") == wanted]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or not extending:
        raise ConfigError(f"extends: found {wanted!r}, expected paths of config files")
    merged: Any = {}
    for name in names:
        base = _read(extending[-1].parent / name)
        if "extends" in base:
            raise ConfigError(f"extends: {name} itself extends {base['extends']}; list both files")
        merged = _merged(merged, base)
    return _merged(merged, {key: value for key, value in raw.items() if key != "extends"})


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"extends: {file} cannot be read: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"extends: {file} is not a mapping; expected a config")
    return found


def _merged(base: Any, changes: Any) -> Any:
    """Return a value with a JSON merge patch (RFC 7396) applied.

    Unlike in the RFC, null stays if there is nothing to remove.
    """
    if not isinstance(changes, Mapping):
        return changes
    merged = dict(base) if isinstance(base, Mapping) else {}
    for key, value in changes.items():
        if value is None and merged.get(key) is not None:
            del merged[key]
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
