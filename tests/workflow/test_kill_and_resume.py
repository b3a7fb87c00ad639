"""A run that is killed at any moment gives the same bytes when it is started again."""

import os
import signal
import subprocess
import sys
import time

import pytest
from running import Workflow, small

pytestmark = pytest.mark.workflow

BLOCK = "results/smoke/models/lds/seed-1/block-1.safetensors"


def long_training(directory):
    workflow = Workflow(directory)
    small(workflow.config)
    # Long enough to be killed in the middle; the state is saved after every step.
    workflow.config["training"]["epochs"] = 60
    workflow.config["jobs"]["save_state_every_s"] = 0
    return workflow


def test_a_killed_training_job_goes_on_and_gives_the_same_bytes(tmp_path_factory):
    whole = long_training(tmp_path_factory.mktemp("whole"))
    whole.run(BLOCK)

    killed = long_training(tmp_path_factory.mktemp("killed"))
    killed.run("-n")
    command = [sys.executable, "-m", "snakemake", BLOCK, "--snakefile", str(killed.snakefile)]
    driver = subprocess.Popen(
        [*command, "--cores", "1", "--configfile", "config.json"],
        cwd=killed.directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    partial = (killed.directory / BLOCK).parent / ".block-1.safetensors.partial"
    deadline = time.monotonic() + 120
    while not list(partial.glob("*/state.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert list(partial.glob("*/state.safetensors")), "killed before a state was saved"
    assert not (killed.directory / BLOCK).exists()

    killed.run("--unlock")
    killed.run(BLOCK)
    log = killed.root / "logs" / "models" / "lds" / "seed-1" / "block-1.log"
    # tqdm starts at the step that the state had reached.
    first = log.read_text().split("|")[2].split("/")[0].strip()
    assert int(first) > 0, "training started from the beginning"
    assert not partial.exists()
    assert (killed.directory / BLOCK).read_bytes() == (whole.directory / BLOCK).read_bytes()
