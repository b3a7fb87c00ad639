"""A run that is killed at any moment gives the same bytes when it is started again."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from running import Workflow, small

pytestmark = pytest.mark.workflow

BLOCK = "models/lds/seed-1/block-1"
WITHOUT_IMAGES = "models/counterfactual/random/proponents-0.25/seed-42/block-0"


def long_training(directory, epochs):
    """Return a benchmark whose training can be killed in the middle."""
    workflow = Workflow(directory)
    small(workflow.config)
    workflow.config["training"]["epochs"] = epochs
    return workflow


def without_models(whole, block, directory):
    """Return a copy of a benchmark that lacks a block's models and saves states at every step."""
    workflow = Workflow(directory)
    workflow.config = copy.deepcopy(whole.config)
    workflow.config["jobs"]["save_state_every_s"] = 0
    shutil.copytree(whole.directory, directory)
    for path in (workflow.root / block).parent.iterdir():
        path.unlink()
    return workflow


def killed_and_resumed(workflow, block):
    """Kill the training of a block after some steps, start it again and return its bytes."""
    target = workflow.root / f"{block}.safetensors"
    asked = str(target.relative_to(workflow.directory))
    workflow.write_config()
    command = [sys.executable, "-m", "snakemake", asked, "--snakefile", str(workflow.snakefile)]
    driver = subprocess.Popen(
        [*command, "--cores", "1", "--configfile", "config.json"],
        cwd=workflow.directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    partial = target.with_name(f".{target.name}.partial")
    deadline = time.monotonic() + 120
    while not list(partial.glob("*/state.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert list(partial.glob("*/state.safetensors")), "killed before a state was saved"
    assert not target.exists()

    workflow.run("--unlock")
    workflow.run(asked)
    log = workflow.root / "logs" / f"{block}.log"
    # tqdm starts at the step that the state had reached.
    first = log.read_text().split("|")[2].split("/")[0].strip()
    assert int(first) > 0, "training started from the beginning"
    assert not partial.exists()
    return target.read_bytes()


def test_a_killed_training_job_goes_on_and_gives_the_same_bytes(tmp_path):
    whole = long_training(tmp_path / "whole", epochs=40)
    whole.directory.mkdir()
    whole.run(f"results/smoke/{BLOCK}.safetensors")
    expected = (whole.root / f"{BLOCK}.safetensors").read_bytes()
    killed = without_models(whole, BLOCK, tmp_path / "killed")
    assert killed_and_resumed(killed, BLOCK) == expected


def test_killed_models_without_a_query_s_images_go_on_and_give_the_same_bytes(tmp_path):
    whole = long_training(tmp_path / "whole", epochs=20)
    whole.directory.mkdir()
    whole.config["counterfactual"] = {
        "n_queries": 2,
        "methods": ["random"],
        "fractions": [0.25],
        "retrain": [0.25],
        "opponents": False,
        "seeds": [42],
    }
    whole.run(f"results/smoke/{WITHOUT_IMAGES}.safetensors")
    expected = (whole.root / f"{WITHOUT_IMAGES}.safetensors").read_bytes()
    # The lists of images and the subsets without them are there, the models are not.
    killed = without_models(whole, WITHOUT_IMAGES, tmp_path / "killed")
    assert killed_and_resumed(killed, WITHOUT_IMAGES) == expected
