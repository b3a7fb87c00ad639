"""A finished benchmark, built once by Snakemake itself, and copies of it to change."""

import fcntl
import json
import os
import shutil

import pytest
from further import further_methods
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
    return finished.with_own_config()


@pytest.fixture
def own_copy(finished, tmp_path):
    """A copy of the finished benchmark, files and Snakemake's records, that a test may damage."""
    return finished.copied(tmp_path)


@pytest.fixture
def empty(tmp_path):
    """A benchmark of which nothing is made yet."""
    workflow = Workflow(tmp_path)
    small(workflow.config)
    return workflow


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
