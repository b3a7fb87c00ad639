"""Whoever deploys with conda gets the versions that were tested."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def script(path: str):
    """Return a script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_conda_environment_is_current():
    found = (ROOT / "envs" / "diffattr.yaml").read_text()
    assert found == script("envs/pin.py").environment(), "run make envs"


def test_the_page_of_methods_is_current():
    methods = script("docs/update_methods.py")
    assert methods.PAGE.read_text(encoding="utf-8") == methods.page(), "run make docs"


def test_the_slurm_profile_is_reached_by_its_name():
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm" / "config.yaml").exists()


def test_every_make_target_that_the_readme_names_exists():
    import re

    makefile = (ROOT / "Makefile").read_text()
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\bmake ([a-z][a-z-]+)", (ROOT / name).read_text()):
            assert f"\n{target}:" in makefile, f"{name} names make {target}"
