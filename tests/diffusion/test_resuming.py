"""A killed and resumed training run equals an uninterrupted one, bit for bit."""

import itertools
import math
import os
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from tiny import SUBSETS, assert_same, of_model, recipe, run, training_set

from diffattr.artifacts import ArtifactError
from diffattr.diffusion.training import loop
from diffattr.diffusion.training.batches import batches
from diffattr.diffusion.training.stack import Stack
from diffattr.diffusion.training.state import TrainingState

DROPOUT = of_model(dropout=0.3)


@pytest.fixture(scope="module")
def data():
    return training_set()


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code under test can catch it by accident."""


@pytest.mark.parametrize("steps_before", [1, 2, 3])
@pytest.mark.parametrize("stack", [1, 3])
def test_a_killed_run_goes_on_bit_for_bit(data, steps_before, stack, tmp_path, monkeypatch):
    options = {"stack": stack, "keep_steps": (0, 2), "save_state_every_s": 0.0}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)

    def interrupted(*arguments):
        yield from itertools.islice(batches(*arguments), steps_before)
        raise Killed

    monkeypatch.setattr(loop, "batches", interrupted)
    with pytest.raises(Killed):
        run(data, SUBSETS, tmp_path / "killed", **options)
    resumed = []

    def watched(*arguments):
        resumed.append(arguments[-1])
        return batches(*arguments)

    monkeypatch.setattr(loop, "batches", watched)
    assert_same(run(data, SUBSETS, tmp_path / "killed", **options), whole)
    assert resumed[0] == steps_before


@pytest.mark.parametrize("stack", [1, 3])
def test_a_run_killed_at_every_step_goes_on_bit_for_bit(data, stack, tmp_path, monkeypatch):
    """Each attempt gets one step further; with one model per stack, through all the stacks."""
    options = {"stack": stack, "keep_steps": (0, 1, 3), "save_state_every_s": 0.0}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)

    def interrupted(*arguments):
        remaining = list(batches(*arguments))
        yield from remaining[:1]
        if len(remaining) > 1:
            raise Killed

    monkeypatch.setattr(loop, "batches", interrupted)
    attempts = 0
    while True:
        attempts += 1
        try:
            resumed = run(data, SUBSETS, tmp_path / "killed", **options)
            break
        except Killed:
            continue
    # Four steps per stack, the last of which ends the stack.
    assert attempts == 3 * math.ceil(3 / stack) + 1
    assert_same(resumed, whole)


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
def test_a_run_killed_before_it_saved_its_state_goes_on_from_the_one_before(
    data, dies_at, tmp_path, monkeypatch
):
    """The kept weights of the step are written by then, and are written again."""
    options = {"stack": 3, "keep_steps": (0, 2, 3), "save_state_every_s": 0.0}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)
    save = TrainingState.save

    def dying(self, step, *state):
        if step == dies_at:
            raise Killed
        save(self, step, *state)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "save", dying)
        with pytest.raises(Killed):
            run(data, SUBSETS, tmp_path / "killed", **options)
    assert_same(run(data, SUBSETS, tmp_path / "killed", **options), whole)


def test_a_run_killed_while_it_wrote_its_state_goes_on_from_the_one_before(
    data, tmp_path, monkeypatch
):
    whole = run(data, SUBSETS, tmp_path / "whole", stack=3, save_state_every_s=0.0)
    save_file = safetensors.torch.save_file

    def dying(tensors, path, **options):
        save_file(tensors, path, **options)
        if int(tensors.get("step", 0)) == 3:
            path.write_bytes(path.read_bytes()[:1000])
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(safetensors.torch, "save_file", dying)
        with pytest.raises(Killed):
            run(data, SUBSETS, tmp_path / "killed", stack=3, save_state_every_s=0.0)
    assert_same(run(data, SUBSETS, tmp_path / "killed", stack=3, save_state_every_s=0.0), whole)


def test_a_killed_run_with_dropout_goes_on_bit_for_bit(data, tmp_path, monkeypatch):
    options = {"recipe": DROPOUT, "save_state_every_s": 0.0}
    whole = run(data, SUBSETS[:2], tmp_path / "whole", **options)

    def interrupted(*arguments):
        yield from itertools.islice(batches(*arguments), 2)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(loop, "batches", interrupted)
        with pytest.raises(Killed):
            run(data, SUBSETS[:2], tmp_path / "killed", **options)
    assert_same(run(data, SUBSETS[:2], tmp_path / "killed", **options), whole)


def test_a_finished_run_is_read_and_not_trained_again(data, tmp_path, monkeypatch):
    whole = run(data, SUBSETS, tmp_path, stack=3)

    def forbidden(*_):
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Stack, "predict", forbidden)
    assert_same(run(data, SUBSETS, tmp_path, stack=3), whole)


LONG = recipe(epochs=60)
# A separate program that SIGKILL can end; it trains as `run` does.
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import msgspec
from diffattr.config import Recipe
from diffattr.diffusion.training import TrainingSet, train

arrays = load_file(sys.argv[1])
recipe = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Recipe)
train(
    TrainingSet(arrays["images"], arrays["ids"]),
    list(arrays["subsets"]),
    5,
    recipe,
    models_per_stack=3,
    scratch=Path(sys.argv[3]),
    keep_steps=(0, 1, 100),
    save_state_every_s=0.0,
)
"""


@pytest.mark.slow
def test_a_process_killed_twice_goes_on_bit_for_bit(data, tmp_path):
    from safetensors.numpy import save_file

    arrays = {"images": data.images, "ids": data.ids, "subsets": np.stack(SUBSETS)}
    save_file(arrays, tmp_path / "arrays")
    (tmp_path / "recipe").write_bytes(msgspec.json.encode(LONG))
    program = [sys.executable, "-c", PROGRAM, *("arrays", "recipe", "killed")]
    # As many threads as here: a sum cut into other parts rounds otherwise.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    before = None
    for _ in range(2):
        started = subprocess.Popen(
            program, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
        )
        for _ in range(6000):
            states = list(tmp_path.glob("killed/*/state.safetensors"))
            if states and states[0].stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        started.send_signal(signal.SIGKILL)
        assert started.wait() == -signal.SIGKILL, "it ended before it was killed"
        state = safetensors.torch.load_file(states[0])
        assert 0 < int(state["step"]) < LONG.training.n_steps(6)
        before = states[0].stat().st_mtime_ns
    options = {"stack": 3, "recipe": LONG, "keep_steps": (0, 1, 100)}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)
    assert_same(run(data, SUBSETS, tmp_path / "killed", **options), whole)


def test_the_state_of_another_recipe_is_never_taken_up(data, tmp_path):
    run(data, SUBSETS[:1], tmp_path, save_state_every_s=0.0)
    other = recipe(learning_rate=0.02)
    fresh = run(data, SUBSETS[:1], tmp_path / "fresh", recipe=other)
    assert_same(run(data, SUBSETS[:1], tmp_path, recipe=other), fresh)


def test_a_damaged_state_is_refused_with_the_folder_to_delete(data, tmp_path):
    run(data, SUBSETS[:1], tmp_path)
    (state,) = tmp_path.glob("*/state.safetensors")
    safetensors.torch.save_file({"step": torch.tensor(4)}, state)
    for content in (state.read_bytes(), b"", bytes(100)):
        state.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"{state}: .* damaged .*; delete {state.parent}"):
            run(data, SUBSETS[:1], tmp_path)


def test_when_states_are_saved_changes_nothing(data, tmp_path):
    often = run(data, SUBSETS, tmp_path / "often", stack=3, save_state_every_s=0.0)
    never = run(data, SUBSETS, tmp_path / "never", stack=3, save_state_every_s=1e9)
    assert_same(often, never)
