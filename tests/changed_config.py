"""The repository's configs with some values changed, for tests."""

import copy
import re
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffattr.artifacts import read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.config import Config, ConfigError, extended

REPOSITORY = Path(__file__).parent.parent
SCHEMA_FILE = REPOSITORY / "schemas" / "config.schema.json"
OWN_MODEL = "configs/mini/own-model.yaml"
DELETED = Enum("Change", "DELETED").DELETED


@cache
def _loaded(name: str) -> Any:
    path = REPOSITORY / name
    return extended(yaml.safe_load(path.read_text(encoding="utf-8")), [path])


SHIPPED = [
    "config.yaml",
    *sorted(p.relative_to(REPOSITORY).as_posix() for p in REPOSITORY.glob("configs/**/*.yaml")),
]
"""All config files; one without a name is there to be extended."""
_WHOLE = [name for name in SHIPPED if "name" in _loaded(name)]
OWN_MODELS = [name for name in _WHOLE if "pretrained" in _loaded(name)["model"]]
"""The configs of already trained models."""
CONFIGS = [name for name in _WHOLE if name not in OWN_MODELS]
"""The configs that train and measure."""


@cache
def schema() -> dict[str, Any]:
    return read_json(SCHEMA_FILE)


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
    return read_config(raw(changes, name), schema(), name)


def benchmark(changes: dict[str, Any] | None = None, name: str = "configs/smoke.yaml") -> Benchmark:
    return Benchmark(config(changes, name))


def assert_refused(make: Callable[..., Any], *arguments: Any, key: str, words: str) -> None:
    """Assert that making something ends in one line that starts with a key and has some words."""
    with pytest.raises(ConfigError) as caught:
        make(*arguments)
    (line,) = str(caught.value).splitlines()
    assert re.match(rf"(\S+\.yaml: )?{re.escape(key)}: ", line)
    assert all(word in line for word in words.split())
