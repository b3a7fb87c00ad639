"""Code from outside diffattr that a config may name: methods, output functions, data sets.

    my-method             an entry point of an installed package, in the group of its registry:
                          diffattr.methods, diffattr.output_functions or diffattr.data_sources
    my_module:my_object   an object of a module that DIFFATTR_PLUGINS allows

Users install packages, and allow modules in the environment; a config alone may not execute code,
since anybody may have written it. A plug-in is imported only if a config names it. Return values
are checked against the contract, and every exception becomes one sentence with the plug-in's name.
"""

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED = "DIFFATTR_PLUGINS"
"""The environment variable that lists the allowed modules, separated by commas."""

GROUPS = {
    registry: f"diffattr.{registry.replace('-', '_')}"
    for registry in ("methods", "output-functions", "data-sources")
}
"""Entry-point groups, by the registry that they extend."""

_WORD = "[A-Za-z_][A-Za-z0-9_]*"
# Not `$`, which would also match before a line break.
PATTERN = rf"^{_WORD}(\.{_WORD})*:{_WORD}(?![\s\S])"
"""The pattern of `module:object`, for the schema."""


class PluginError(ValueError):
    """A plug-in does not exist, is not allowed, or violates its contract."""


def installed(registry: str) -> list[str]:
    """Return the names that installed packages add to a registry, without importing any.

    Names other than those of the config's pattern are ignored, since names become file names.
    """
    names = {entry.name for entry in entry_points(group=GROUPS[registry])}
    return sorted(name for name in names if re.fullmatch("[a-z0-9][a-z0-9-]*", name))


@cache
def load(registry: str, name: str) -> Any:
    """Return the plug-in with a name.

    Raises:
        PluginError: it does not exist, is not allowed, or cannot be imported.
    """
    entry = _entry_point(registry, name)
    # The working directory, as for `python -m`; last, so that it hides no installed module.
    if ":" in name and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    found = call(name, _imported, name, entry.module)
    for attribute in filter(None, (entry.attr or "").split(".")):
        if not hasattr(found, attribute):
            raise PluginError(f"plug-in {name}: module {entry.module} has no {entry.attr}")
        found = getattr(found, attribute)
    return found


def load_function(registry: str, name: str, of: str) -> Callable[..., Any]:
    """Return a plug-in that is a function; `of` names its argument in errors.

    Functions can receive strings from a config (`data.folder`). Of an allowed module, a config can
    therefore name only functions that it, or its package, defines; not imports like `os.system`.

    Raises:
        PluginError: as for `load`, or it is not such a function.
    """
    found = load(registry, name)
    if not callable(found) or isinstance(found, type):
        raise PluginError(f"plug-in {name}: found {kind(found)}; expected a function of {of}")
    module = str(getattr(found, "__module__", None))
    if ":" in name and module.partition(".")[0] != re.split("[.:]", name)[0]:
        raise PluginError(
            f"plug-in {name}: comes from {module}; expected a function that its module defines"
        )
    return found


@cache
def identity(registry: str, name: str) -> dict[str, str]:
    """Return what changes when a plug-in is edited: version and SHA-256 of its code.

    The code is the module's file, or every Python file of the module's package.
    """
    load(registry, name)
    entry = _entry_point(registry, name)
    digest = hashlib.sha256()
    for path, file in sorted(_code(entry.module.partition(".")[0])):
        digest.update(f"{path} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    released = entry.dist and {"distribution": entry.dist.name, "version": entry.dist.version}
    return {**(released or {}), "sha256": digest.hexdigest()}


def call(
    name: str,
    function: Callable[..., Any],
    *given: Any,
    passing: type[Exception] = PluginError,
) -> Any:
    """Call a function of a plug-in and return its result.

    Raises:
        PluginError: it raised any exception but those of type `passing`, which pass unchanged.
    """
    try:
        return function(*given)
    except (PluginError, passing):
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
        raise PluginError(f"plug-in {name}: raised {text}") from error


def checked(name: str, found: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array from a plug-in as float64.

    Raises:
        PluginError: it is not an array of real numbers with this shape, all finite in float32, the
            type in which they are stored.
    """
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        what = f"array of {found.dtype}" if isinstance(found, np.ndarray) else kind(found)
        raise PluginError(f"plug-in {name}: returned {what}, expected a NumPy array of numbers")
    if found.shape != shape:
        raise PluginError(f"plug-in {name}: returned shape {found.shape}, expected {shape}")
    if n_bad := np.count_nonzero(~(np.abs(found) <= np.finfo(np.float32).max)):
        raise PluginError(
            f"plug-in {name}: returned NaN or infinity in {n_bad} of {found.size} numbers"
        )
    return found.astype(np.float64)


def kind(found: Any) -> str:
    """Describe an object's type for an error message."""
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return f"an object of type {type(found).__name__}"


def _entry_point(registry: str, name: str) -> EntryPoint:
    """Return the entry point of a name."""
    group = GROUPS[registry]
    if re.match(PATTERN, name):
        module = name.partition(":")[0]
        allowed = [word.strip() for word in os.environ.get(ALLOWED, "").split(",")]
        if not any(f"{module}.".startswith(f"{word}.") for word in allowed if word):
            raise PluginError(
                f"found {name!r}, but a config alone may not execute the code of a module; if you"
                f" trust it, allow it in the environment: {ALLOWED}={module}"
            )
        return EntryPoint(name, name, group)
    found = list(entry_points(group=group, name=name))
    if not found:
        raise PluginError(f"plug-in {name}: no installed package has it in the group {group}")
    if len(found) > 1:
        packages = ", ".join(sorted(entry.dist.name for entry in found if entry.dist))
        raise PluginError(f"plug-in {name}: several packages provide it: {packages}; keep one")
    return found[0]


def _imported(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # an import inside the module failed
        raise PluginError(
            f"plug-in {name}: there is no module {error.name} in the working directory"
            " or on Python's path"
        ) from error


def _code(module: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a top-level module or package, with their relative paths."""
    loaded = sys.modules[module]
    for folder in map(Path, getattr(loaded, "__path__", ())):
        yield from ((str(file.relative_to(folder)), file) for file in folder.rglob("*.py"))
    if not hasattr(loaded, "__path__") and loaded.__file__ is not None:
        yield "", Path(loaded.__file__)
