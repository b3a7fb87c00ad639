"""Code from outside, written for a test into a folder of its own."""

import sys
import textwrap

import pytest
from plugin_code import forget

from diffattr import plugins


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with nothing imported from it before or after."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv(plugins.ALLOWED, raising=False)
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.fixture
def write(folder, monkeypatch):
    """Write a module, allowed unless a test says otherwise."""

    def written(text, name="my_module", allowed=True):
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        if allowed:
            monkeypatch.setenv(plugins.ALLOWED, name)
        return path

    return written


@pytest.fixture
def install(folder, monkeypatch):
    """Put a package onto Python's path as an installer would, with its entry points."""

    def installed(text, entries, package="my_package", version="1.0"):
        site = folder / f"site-{package}"
        (site / f"{package}-{version}.dist-info").mkdir(parents=True)
        info = site / f"{package}-{version}.dist-info"
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}"
        )
        (info / "entry_points.txt").write_text(textwrap.dedent(entries))
        (site / f"{package}.py").write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(str(site))

    return installed
