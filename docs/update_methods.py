"""Writes the registries' docstrings into docs/methods.md (`make docs`)."""

import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

from blocks import github, replaced

from diffattr.artifacts import write_text
from diffattr.attribution import METHODS
from diffattr.attribution.method import OPTION, Method
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS

PAGE = Path(__file__).with_name("methods.md")


def first_paragraph(thing: Any) -> str:
    """Return the first paragraph of a docstring in one line."""
    paragraph = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


def options(method: Method) -> str:
    """Return what a config may set under `options`, with the defaults."""
    named = [field for field in dataclasses.fields(method) if field.metadata == OPTION]
    return ", ".join(f"`{field.name}: {getattr(method, field.name)}`" for field in named)


def asks(method: Method) -> str:
    """Return what a method of the config has to name next to `method`."""
    needed = {"features": "`features`", "embedding": "`embedding`", "losses": "(`models`)"}
    words = [needed[method.reads]] if method.reads in needed else []
    if method.output_function is not None:
        words[0] += f" of `{method.output_function}`"
    if method.unit_gradients:
        words[0] += ", a pass with `unit_gradients`"
    if method.curvature:
        words[0] += ", a pass with a `curvature`"
    if method.over == "checkpoints":
        words.append("`checkpoints`")
    if method.reads == "files":
        words.append("one of the options `val` and `gen`")
    if method.follows_trajectory:
        words.append("split gen only")
    return "; ".join(words)


def families() -> str:
    """Return one section per module: its docstring, and a line per method."""
    modules: dict[str, list[tuple[str, Method]]] = {}
    for name, method in METHODS.items():
        modules.setdefault(type(method).__module__, []).append((name, method))
    parts = []
    for module, methods in modules.items():
        title, _, text = (importlib.import_module(module).__doc__ or "").strip().partition("\n")
        rows = [
            [f"`{name}`", first_paragraph(type(method)), asks(method), options(method)]
            for name, method in methods
        ]
        table = github(rows, ["method", "", "names in the config", "options"])
        formula = f"\n\n```text\n{text.strip(chr(10))}\n```" if text.strip() else ""
        parts.append(f"### {title.rstrip('.')}\n\n{table}{formula}")
    return "\n\n".join(parts)


def functions() -> str:
    """Return the table of output functions."""
    rows = [[f"`{name}`", first_paragraph(f)] for name, f in OUTPUT_FUNCTIONS.items()]
    return github(rows, ["output function", ""])


def classes(registry: dict[str, str]) -> str:
    """Return the table of a registry of classes that are named by their path."""
    rows = []
    for name, path in registry.items():
        module, _, cls = path.partition(":")
        imported = importlib.import_module(module)
        described = first_paragraph(imported), first_paragraph(getattr(imported, cls))
        rows.append([f"`{name}`", *described])
    return github(rows, ["name", "", ""])


def page() -> str:
    """Return docs/methods.md with its blocks written anew."""
    blocks = {
        "methods": families(),
        "output functions": functions(),
        "embeddings": classes({name: found.path for name, found in EMBEDDINGS.items()}),
        "projectors": classes(PROJECTORS),
    }
    text = PAGE.read_text(encoding="utf-8")
    for name, content in blocks.items():
        text = replaced(text, name, f"\n{content}\n")
    return text


if __name__ == "__main__":
    write_text(PAGE, page())
