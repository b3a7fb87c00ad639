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
