"""A finished benchmark, built once by Snakemake itself, and copies of it to change."""

import copy
import shutil

import pytest
from running import Workflow, small


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished benchmark; do not change its files."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"))
    small(workflow.config)
    workflow.run("all")
    return workflow


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
    config["subsets"]["lds"] |= {"count": 3, "seeds": [0]}
    config["subsets"]["retrain"]["count"] = 3
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
    config["lds"] |= {
        "also_measured": ["weighted-mse", "mean-squared-l2-norm"],
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
def further(tmp_path_factory):
    """A finished benchmark of further methods, a sweep and redrawn queries; do not change it."""
    workflow = Workflow(tmp_path_factory.mktemp("further"))
    further_methods(workflow.config)
    workflow.run("all")
    return workflow


@pytest.fixture(params=["finished", "further"])
def each_finished(request):
    """Every finished benchmark, one after the other; do not change their files."""
    return request.getfixturevalue(request.param)


def pytest_collection_modifyitems(items):
    """Let all tests of one finished benchmark share a worker, so that it is built once."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        used = {*item.fixturenames, parameters.get("each_finished")}
        for name in ("finished", "further"):
            if name in used:
                item.add_marker(pytest.mark.xdist_group(name))
