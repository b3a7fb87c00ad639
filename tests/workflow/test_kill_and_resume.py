"""A run that is killed at any moment gives the same bytes when it is started again."""

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
    workflow = Workflow(directory)
    small(workflow.config)
    # Long enough to be killed in the middle; the state is saved after every step.
    workflow.config["training"]["epochs"] = epochs
    workflow.config["jobs"]["save_state_every_s"] = 0
    return workflow


def killed_and_resumed(workflow, block):
    """Kill the training of a block after some steps, start it again and return its bytes."""
    target = workflow.root / f"{block}.safetensors"
    asked = str(target.relative_to(workflow.directory))
    workflow.run("-n")
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


def test_a_killed_training_job_goes_on_and_gives_the_same_bytes(tmp_path_factory):
    whole = long_training(tmp_path_factory.mktemp("whole"), epochs=60)
    whole.run(f"results/smoke/{BLOCK}.safetensors")
    killed = long_training(tmp_path_factory.mktemp("killed"), epochs=60)
    expected = (whole.root / f"{BLOCK}.safetensors").read_bytes()
    assert killed_and_resumed(killed, BLOCK) == expected


def test_killed_models_without_a_query_s_images_go_on_and_give_the_same_bytes(tmp_path):
    whole = long_training(tmp_path / "whole", epochs=20)
    whole.directory.mkdir()
    whole.config["jobs"]["save_state_every_s"] = 60
    whole.config["counterfactual"] = {
        "n_queries": 2,
        "methods": ["random"],
        "fractions": [0.25],
        "retrain": [0.25],
        "opponents": False,
        "seeds": [42],
    }
    whole.run(f"results/smoke/{WITHOUT_IMAGES}.safetensors")
    # The lists of images and the subsets without them are there, the models are not.
    killed = Workflow(tmp_path / "killed")
    killed.config = whole.config
    killed.config["jobs"]["save_state_every_s"] = 0
    shutil.copytree(whole.directory, killed.directory)
    block = killed.root / f"{WITHOUT_IMAGES}.safetensors"
    expected = block.read_bytes()
    for path in block.parent.iterdir():
        path.unlink()
    assert killed_and_resumed(killed, WITHOUT_IMAGES) == expected
