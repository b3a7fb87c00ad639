"""A finished benchmark, built once by Snakemake itself, and copies of it to change."""

import copy
import fcntl
import json
import os
import shutil

import pytest
from running import Workflow, small


@pytest.fixture(scope="session")
def built_once(tmp_path_factory):
    """Return a function that builds a benchmark once for all workers and gives each a copy.

    Not by pytest-xdist's groups, of which 3.8 with pytest 9.2 takes no notice (its issue 1386); and
    so each worker can take any test.
    """
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def get(name, build):
        place = common / f"{name}-as-built"
        with (common / f"{name}.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if lock.read() != "built":
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                build(Workflow(place))
                lock.write("built")
        workflow = Workflow(tmp_path_factory.mktemp(name))
        shutil.copytree(place, workflow.directory, dirs_exist_ok=True)
        workflow.config = json.loads((place / "config.json").read_text())
        return workflow

    return get


@pytest.fixture(scope="session")
def finished(built_once):
    """A finished benchmark; do not change its files."""

    def build(workflow):
        small(workflow.config)
        workflow.run("all")

    return built_once("finished", build)


@pytest.fixture
def workflow(finished):
    """The finished benchmark with a config that the test may change (its files stay)."""
    changed = copy.copy(finished)
    changed.config = copy.deepcopy(finished.config)
    return changed


@pytest.fixture
def own_copy(finished, tmp_path):
    """A copy of the finished benchmark, files and Snakemake's records, that a test may damage."""
    shutil.copytree(finished.directory, tmp_path, dirs_exist_ok=True)
    changed = Workflow(tmp_path)
    changed.config = copy.deepcopy(finished.config)
    return changed


@pytest.fixture
def empty(tmp_path):
    """A benchmark of which nothing is made yet."""
    workflow = Workflow(tmp_path)
    small(workflow.config)
    return workflow


def further_methods(config):
    """Turn the smoke benchmark into one of methods that read more than one model's gradients."""
    small(config)
    config["data"]["n_planted"] = 0
    config["sampling"]["n_images"] = 6
    config["measurement"]["subsets"]["lds"] |= {"count": 3, "seeds": [0]}
    config["measurement"]["subsets"]["retrain"]["count"] = 3
    config["jobs"]["images_per_shard"] = 48
    config["embeddings"] = {"bottleneck": {"kind": "bottleneck", "options": {"n_timesteps": 2}}}
    on_loss = {"features": "t4/loss"}
    config["methods"] = {
        "random": {"method": "random"},
        "trak-4": {"method": "trak", **on_loss},
        "tracin-4": {"method": "tracin", **on_loss, "checkpoints": [0.5, 1.0]},
        "trak-4-half": {"method": "trak", **on_loss, "ensemble": {"of": "retrain", "count": 1}},
        "empirical-influence": {"method": "empirical-influence"},
        "journey-trak-4": {"method": "journey-trak", **on_loss},
    }
    config["measurement"]["lds"] |= {
        "also_measured": ["weighted-mse", "l1-norm"],
        "query_lists": {"some": {"split": "gen", "queries": [0, 3]}},
    }
    # k = 256 is pass t4.
    config["sweeps"] = {"projections": {"method": "trak", **on_loss, "over": {"k": [64, 256]}}}
    config["counterfactual"] = {
        "n_queries": 2,
        "methods": ["random", "trak-4"],
        "fractions": [0.1, 0.25],
        "retrain": [0.25],
        "opponents": False,
        "seeds": [42],
        "embeddings": ["bottleneck"],
    }


@pytest.fixture(scope="session")
def further(built_once):
    """A finished benchmark of further methods, a sweep and redrawn queries; do not change it."""

    def build(workflow):
        further_methods(workflow.config)
        workflow.run("all")

    return built_once("further", build)


@pytest.fixture(scope="session", params=["finished", "further"])
def each_finished(request):
    """Every finished benchmark, one after the other; do not change their files."""
    return request.getfixturevalue(request.param)
