"""Snakemake as a user runs it, for tests."""

import copy
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
SMOKE = REPOSITORY / "configs" / "smoke.yaml"
# The profiles' longer spans would delay the end of every run.
NO_DELAY = ("--max-jobs-per-timespan", "100/1s")


class Workflow:
    """Snakemake in a working directory of its own, on a config that a test may change."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.config = yaml.safe_load(SMOKE.read_text())
        self.snakefile = REPOSITORY / "Snakefile"
        self.snakemake = [sys.executable, "-m", "snakemake"]
        self.environment: dict[str, str] = {}

    @property
    def root(self) -> Path:
        return self.directory / "results" / self.config["name"]

    def with_own_config(self) -> "Workflow":
        """Return this workflow with a config that a test may change (its files stay)."""
        changed = copy.copy(self)
        changed.config = copy.deepcopy(self.config)
        return changed

    def copied(self, directory: Path) -> "Workflow":
        """Return a copy, files and Snakemake's records, that a test may damage."""
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)
        changed = Workflow(directory)
        changed.config = copy.deepcopy(self.config)
        return changed

    def write_config(self) -> Path:
        path = self.directory / "config.json"
        path.write_text(json.dumps(self.config))
        return path

    def run(self, *arguments: str, check: bool = True, **environment: str):
        path = self.write_config()
        command = [*self.snakemake, *arguments, "--snakefile", self.snakefile]
        done = subprocess.run(
            [*command, "--cores", "2", *NO_DELAY, "--configfile", str(path)],
            cwd=self.directory,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def pending(self, target: str = "all") -> dict[str, set[str]]:
        """Return the outputs that Snakemake would make, below the benchmark's root, by rule."""
        rows = csv.DictReader(self.run(target, "--summary").stdout.splitlines(), delimiter="\t")
        pending: dict[str, set[str]] = {}
        for row in rows:
            if row["plan"] != "no update":
                output = row["output_file"].removeprefix(f"results/{self.config['name']}/")
                pending.setdefault(row["rule"], set()).add(output)
        return pending


def small(config: dict) -> None:
    """Shrink the smoke benchmark to what these tests look at."""
    config["methods"] = {
        name: config["methods"][name] for name in ("random", "pixel-cosine", "trak-4", "d-trak-4")
    }
    config["features"] = {"t4": config["features"]["t4"]}
    config["jobs"]["models_per_block"] = config["jobs"]["models_per_stack"] = 3
