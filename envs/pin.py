"""Writes diffattr.yaml beside it: the direct dependencies at the versions of constraints.txt."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment() -> str:
    """Return the conda environment file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["slurm"]]
    names = [re.split(r"[<>=]", requirement)[0] for requirement in wanted]
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {_canonical(line.split("==")[0]): line for line in lines}
    packages = "\n".join(f"      - {pinned[_canonical(name)]}" for name in sorted(names))
    return f"""\
# For `PYTHONPATH=src snakemake --software-deployment-method conda`. Written by `make envs` from
# pyproject.toml and constraints.txt: the same versions as .venv.
name: diffattr
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
{packages}
"""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    (Path(__file__).with_name("diffattr.yaml")).write_text(environment())
