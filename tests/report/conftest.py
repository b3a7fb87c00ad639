"""A benchmark of made-up numbers, whose artifacts are files as the workflow would leave them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from changed_config import OWN_MODEL
from changed_config import benchmark as benchmark_of
from made_viewer import Made, made_up
from stand_ins import write_ddpm

from diffattr import artifacts
from diffattr.benchmark import Benchmark
from diffattr.evaluation.planted import planted_ranks
from diffattr.report import page
from diffattr.report.files import Inputs, input_files
from diffattr.report.gather import gather
from diffattr.report.structs import Report

METHODS = {
    "random": {"method": "random"},
    "pixel-dot": {"method": "pixel-dot"},
    "trak-4": {"method": "trak", "features": "t4/loss"},
    "trak-8": {"method": "trak", "features": "t8/loss"},
    "d-trak-4": {"method": "d-trak", "features": "t4/mean-squared-l2-norm"},
}
FURTHER = {
    "d-trak-8": {"method": "d-trak", "features": "t8/mean-squared-l2-norm"},
    "trak-4-full-2": {
        "method": "trak",
        "features": "t4/loss",
        "ensemble": {"of": "full", "count": 2},
    },
}
SIZES = {"train": 12, "val": 7, "gen": 5, "planted": 3}
HOST = {"cores": 2, "machine": "x86_64", "processor": "?", "python": "3.11.7", "system": "Linux"}


def measured(
    n_planted: int = 3,
    seeds: tuple[int, ...] = (0, 1),
    noise: str = "per-image",
    further: bool = False,
    published: str | None = None,
) -> Benchmark:
    """Return a benchmark that trains and measures."""
    changes = {
        "name": "made-up",
        "data.n_train": 12,
        "data.n_val": 7,
        "data.n_planted": n_planted,
        "sampling.n_images": 5,
        "measurement.subsets.lds.count": 6,
        "measurement.subsets.lds.seeds": list(seeds),
        "features.t8.noise": noise,
        "methods": {**METHODS, **(FURTHER if further else {})},
        "report": {"queries": 3, "top": 2, "published": published},
    }
    return benchmark_of(changes)


def pretrained() -> Benchmark:
    """Return a benchmark without training and measurement, on files that are written here."""
    write_ddpm(Path("data/mini/ddpm"), seed=0)
    for folder in ("images", "queries"):
        Path("data/mini", folder).mkdir()
        Path("data/mini", folder, "0.png").touch()
    changes = {
        "name": "made-up",
        "data.n_train": 12,
        "data.n_planted": 3,
        "queries.n_images": 7,
        "sampling.n_images": 5,
        "report": {"queries": 3, "top": 2},
    }
    return benchmark_of(changes, OWN_MODEL)


@dataclass
class Folder:
    """A benchmark and what was written for it, below the working directory."""

    benchmark: Benchmark
    lds: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    copies: list[int] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    numbers_text: str = ""

    def gather(self) -> Report:
        return gather(self.benchmark, Inputs(input_files(self.benchmark)))


def as_json(report: Report) -> str:
    return json.dumps(msgspec.to_builtins(report), allow_nan=False)


def write_provenance(path: str, rule: str, started: str, **values: Any) -> None:
    """Write the sidecar of an artifact; inputs are given as paths that exist."""
    inputs = values.pop("inputs", [])
    record = {
        "rule": rule,
        "started": started,
        "wildcards": {},
        "seconds": 1.0,
        "peak_memory_mb": 100,
        "host": HOST,
        "device": "cpu",
        "versions": {"numpy": "2.4"},
        "commit": "abc",
        "inputs": {name: artifacts.checksum(name)["sha256"] for name in inputs},
        "checksum": artifacts.checksum(path),
        **values,
    }
    artifacts.write_json(artifacts.provenance_path(path), record)


def lds_result(rng: np.random.Generator, n_queries: int, lambdas: list, ceiling: bool) -> dict:
    point = float(rng.uniform(-0.2, 0.6))
    draws = point + rng.normal(0, 0.05, size=(2, 200))
    bound = 0.8125
    return {
        "lds": point,
        "interval": {
            name: [point - half, point + half]
            for name, half in (("both", 0.1), ("subsets", 0.05), ("queries", 0.02))
        },
        "selected": {"lambda": lambdas[0]},
        "oracle": {"lambda": lambdas[-1], "lds": point + float(rng.uniform(0, 0.1))},
        "curve": {"lambdas": lambdas, "lds": rng.uniform(0, 0.5, len(lambdas)).tolist()},
        "ceiling": {"n_seeds": 2, "repeat": 0.49, "bound": bound, "one_more_retraining": 0.57}
        if ceiling
        else None,
        "of_bound": point / bound if ceiling else None,
        "per_query": rng.uniform(-1, 1, n_queries).tolist(),
        "resamples": {"both": draws[0].tolist(), "subsets": draws[1].tolist()},
        "n_subsets": 6,
        "n_queries": n_queries,
        "measured": {},
        "query_lists": {},
    }


def fill(folder: Folder) -> None:
    """Write every artifact that the report reads."""
    rng = np.random.default_rng(0)
    benchmark, paths = folder.benchmark, folder.benchmark.paths
    ids = {
        "train": np.array([3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610]),
        "val": np.arange(1000, 1007),
        "gen": np.arange(5),
        "planted": np.array([5, 89, 610]),
    }
    folder.copies = [1, 7, 11]
    splits = ["train", *benchmark.splits.queries]
    for split in splits:
        artifacts.write_array(paths.indices(split), ids[split])
        artifacts.write_array(
            paths.samples(split), rng.uniform(-1, 1, (SIZES[split], 1, 4, 4)).astype(np.float32)
        )
        folder.roots += [paths.indices(split), paths.samples(split)]
        if split != "gen":
            artifacts.write_array(paths.labels(split), rng.integers(0, 10, SIZES[split]))
            folder.roots.append(paths.labels(split))
    names = {split: [f"{id}.png" for id in ids[split]] for split in splits if split != "gen"}
    named = {"classes": [f"class-{n}" for n in range(10)], "images": names}
    artifacts.write_json(paths.names(), named)
    folder.roots.append(paths.names())
    for split in benchmark.splits.queries:
        for name in benchmark.config.methods:
            scores = rng.normal(size=(SIZES[split], SIZES["train"])).astype(np.float32)
            folder.scores[name, split] = scores
            artifacts.write_arrays(paths.scores(name, split), {"scores": scores}, {"lambda": 0.25})
            folder.roots.append(paths.scores(name, split))
    if "planted" in splits:
        scored = ((name, None, folder.scores[name, "planted"]) for name in benchmark.config.methods)
        planted = planted_ranks(scored, ids["train"], ids["planted"])
        artifacts.write_json(paths.planted(), msgspec.to_builtins(planted))
        folder.roots.append(paths.planted())
    for split in benchmark.splits.lds:
        folder.lds[split] = {}
        for name in benchmark.config.methods:
            lambdas = [0.01, 1.0] if benchmark.methods[name].has_lambda else [None]
            ceiling = len(benchmark.measurement.subsets.lds.seeds) > 1
            result = lds_result(rng, SIZES[split], lambdas, ceiling)
            folder.lds[split][name] = result
            artifacts.write_json(paths.lds(name, split), result)
            folder.roots.append(paths.lds(name, split))
    for gradient_pass in benchmark.passes:
        error = 0.5 if gradient_pass == "t8" else 2e-6
        check = {"n_images": 4, "largest_relative_error": {"loss": error}}
        artifacts.write_json(paths.check(gradient_pass), check)
        folder.roots.append(paths.check(gradient_pass))
    for path in folder.roots:
        write_provenance(path, "made_up", f"2026-01-01T00:00:00 {path}")


@pytest.fixture(name="write_provenance")
def write_provenance_fixture():
    return write_provenance


@pytest.fixture
def make_folder(tmp_path, monkeypatch):
    """Return a function that writes a benchmark into a folder of its own, for tests to vary."""
    monkeypatch.chdir(tmp_path)

    def make(is_measured: bool = True, **options: Any) -> Folder:
        folder = Folder(measured(**options) if is_measured else pretrained())
        fill(folder)
        return folder

    return make


@pytest.fixture(name="as_json")
def as_json_fixture():
    return as_json


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Folder:
    """The made-up benchmark; its files are read once, for `numbers`."""
    made = Folder(measured())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("made-up"))
        fill(made)
        made.numbers_text = as_json(made.gather())
    return made


@pytest.fixture
def numbers(folder) -> dict[str, Any]:
    """The numbers of the made-up benchmark, for each test to change as it likes."""
    return json.loads(folder.numbers_text)


@pytest.fixture
def report(folder) -> Report:
    """The report on the made-up benchmark."""
    return msgspec.json.decode(folder.numbers_text, type=Report)


@pytest.fixture(scope="session")
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        split: rng.uniform(-1, 1, (n, 1, 4, 4)).astype(np.float32) for split, n in SIZES.items()
    }


@pytest.fixture(scope="session")
def html(folder, images) -> str:
    return page.html(msgspec.json.decode(folder.numbers_text, type=Report), images)


@pytest.fixture
def made(report) -> Made:
    return made_up(report)
