"""The repository's configs with some values changed, for tests."""

import copy
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffattr.benchmark import Benchmark
from diffattr.config import (
    SCHEMA_FILES,
    Config,
    ConfigError,
    OwnModel,
    converted,
    kind_of,
    load_schema,
    parse,
)

REPOSITORY = Path(__file__).parent.parent
SCHEMA_FILE = REPOSITORY / "schemas" / "config.schema.json"
OWN_MODEL = "configs/mini/own-model.yaml"
DELETED = Enum("Change", "DELETED").DELETED


@cache
def _loaded(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


_SHIPPED = [
    "config.yaml",
    *sorted(p.relative_to(REPOSITORY).as_posix() for p in REPOSITORY.glob("configs/**/*.yaml")),
]
CONFIGS = [name for name in _SHIPPED if kind_of(_loaded(name)) is Config]
"""The benchmarks that ship."""
OWN_MODELS = [name for name in _SHIPPED if name not in CONFIGS]
"""The configs that ship for models that somebody already has."""


@cache
def schema() -> dict[str, Any]:
    return load_schema(SCHEMA_FILE)


def raw(changes: dict[str, Any] | None = None, name: str = "configs/smoke.yaml") -> Any:
    """Return a config as read from YAML; `changes` maps dotted paths to values or DELETED."""
    tree = copy.deepcopy(_loaded(name))
    for path, value in (changes or {}).items():
        put(tree, path.split("."), value)
    return tree


def put(tree: Any, keys: list[Any], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree[key]
    if value is DELETED:
        del tree[keys[-1]]
    else:
        tree[keys[-1]] = value


def config(changes: dict[str, Any] | None = None, name: str = "configs/smoke.yaml") -> Config:
    return parse(raw(changes, name), schema(), name)


@cache
def _own_schema() -> dict[str, Any]:
    return load_schema(SCHEMA_FILE.parent / SCHEMA_FILES[OwnModel])


def own_model(changes: dict[str, Any] | None = None, name: str = OWN_MODEL) -> OwnModel:
    """Return the config of a model that somebody already has."""
    return converted(raw(changes, name), OwnModel, _own_schema(), name)


def benchmark(changes: dict[str, Any] | None = None, name: str = "configs/smoke.yaml") -> Benchmark:
    return Benchmark(config(changes, name))


def assert_refused(make: Callable[..., Any], *arguments: Any, key: str, words: str) -> None:
    """Assert that making something ends in one line that starts with a key and has some words."""
    with pytest.raises(ConfigError) as caught:
        make(*arguments)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{key}: ")
    assert all(word in line for word in words.split())
