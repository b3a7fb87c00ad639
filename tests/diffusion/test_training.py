"""Training against a plain loop, one by one against stacked, killed against whole."""

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
from numbers_of_stages import MODEL, SCHEDULE, TRAINING

from diffattr import rng
from diffattr.artifacts import ArtifactError
from diffattr.config import ConfigError, Model, Recipe
from diffattr.data.subsets import membership
from diffattr.diffusion.models import build
from diffattr.diffusion.training import TrainingSet, loop, train
from diffattr.diffusion.training.batches import batches
from diffattr.diffusion.training.stack import Stack
from diffattr.diffusion.training.state import Saved

SEED = 5
RECIPE = Recipe(model=MODEL, noise_schedule=SCHEDULE, training=TRAINING)
N_TRAIN = 13
SUBSETS = [np.array(s) for s in ([0, 1, 4, 6, 8, 11], [1, 2, 3, 8, 9, 12], [0, 2, 5, 7, 8, 10])]


@pytest.fixture(scope="module")
def data():
    images = rng.generator("test", "images").uniform(-1, 1, (N_TRAIN, 1, 8, 8))
    # Ids are positions in a data set: not the positions in train.
    return TrainingSet(images.astype(np.float32), np.arange(N_TRAIN) * 7 + 3)


def run(data, subsets, scratch, *, stack=1, seed=SEED, recipe=RECIPE, **options):
    return train(data, subsets, seed, recipe, models_per_stack=stack, scratch=scratch, **options)


def last(weights):
    return weights[max(weights)]


def recipe(**changes):
    return msgspec.structs.replace(RECIPE, training=msgspec.structs.replace(TRAINING, **changes))


def plain_training(data, subset, seed, options=TRAINING, model=MODEL):
    """The recipe as one would write it down, with one module and torch's own optimiser."""
    network = build(model, seed).train()
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=0.0,
        betas=options.betas,
        eps=options.epsilon,
        weight_decay=options.weight_decay,
    )
    betas = np.linspace(0.0001, 0.02, 1000)
    abar = np.cumprod(1 - betas)
    per_epoch = math.ceil(len(subset) / options.batch_size)
    n_steps = options.epochs * per_epoch
    warmup = math.ceil(options.warmup_fraction * n_steps)
    step = 0
    for epoch in range(options.epochs):
        order = rng.generator(seed, "order", epoch).permutation(N_TRAIN)
        order = [position for position in order if position in set(subset.tolist())]
        for start in range(0, len(order), options.batch_size):
            inputs, noises, timesteps = [], [], []
            for position in order[start : start + options.batch_size]:
                own = rng.Stream(seed, "training").generator(int(data.ids[position]), epoch)
                t, flipped = int(own.integers(1000)), own.random() < 0.5
                noise = own.standard_normal((1, 8, 8), dtype=np.float32)
                image = data.images[position]
                image = image[:, :, ::-1] if flipped and options.horizontal_flip else image
                inputs.append(math.sqrt(abar[t]) * image + math.sqrt(1 - abar[t]) * noise)
                noises.append(noise)
                timesteps.append(t)
            x = torch.tensor(np.array(inputs), dtype=torch.float32)
            target = torch.tensor(np.array(noises))
            with rng.torch_seeded(seed, "dropout", step + 1):
                prediction = network(x, torch.tensor(timesteps)).sample
            loss = ((prediction - target) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
            if step < warmup:
                lr = options.learning_rate * step / warmup
            else:
                progress = (step - warmup) / (n_steps - warmup)
                lr = options.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
            step += 1
    return dict(network.named_parameters())


@pytest.mark.parametrize("subset", SUBSETS[:2], ids=["first", "second"])
def test_training_equals_a_plain_loop(data, subset, tmp_path):
    trained = last(run(data, [subset], tmp_path))
    expected = plain_training(data, subset, SEED)
    assert trained.keys() == expected.keys()
    for name, parameter in expected.items():
        # float32 rounding through four steps of Adam, whose division magnifies small gradients.
        torch.testing.assert_close(trained[name][0], parameter.detach(), rtol=1e-3, atol=2e-5)


# One part of the recipe each, changed so far that a plain loop without the change fails the test.
PARTS = [
    {"epochs": 4},
    {"batch_size": 6},
    {"learning_rate": 0.02},
    {"warmup_fraction": 0.0},
    {"warmup_fraction": 0.5},
    {"betas": (0.5, 0.9)},
    {"epsilon": 0.01},
    {"weight_decay": 5.0},
    {"clip_norm": 1.7},  # between the norms, which are 1.2 to 2.5
    {"horizontal_flip": False},
]


@pytest.mark.parametrize("changes", PARTS, ids=str)
def test_every_part_of_the_recipe_is_the_plain_loop_s(data, changes, tmp_path):
    options = msgspec.structs.replace(TRAINING, **changes)
    trained = last(run(data, SUBSETS[:2], tmp_path, stack=2, recipe=recipe(**changes)))
    parted = 0.0
    for member, subset in enumerate(SUBSETS[:2]):
        expected = plain_training(data, subset, SEED, options)
        unchanged = plain_training(data, subset, SEED)
        for name, parameter in expected.items():
            # As above; eight steps at most.
            torch.testing.assert_close(
                trained[name][member], parameter.detach(), rtol=1e-3, atol=5e-5
            )
            parted = max(parted, float((parameter - unchanged[name]).detach().abs().max()))
    # The comparison would see it if training took no notice of this part.
    assert parted > 1e-3


def test_the_order_of_positions_in_a_subset_changes_nothing(data, tmp_path):
    first = run(data, SUBSETS[:1], tmp_path / "first")
    same(run(data, [SUBSETS[0][::-1].copy()], tmp_path / "second"), first)


def test_noise_is_keyed_by_the_ids(data, tmp_path):
    other = TrainingSet(data.images, data.ids + 1)
    first, second = (
        last(run(d, SUBSETS[:1], tmp_path / name)) for d, name in ((data, "1"), (other, "2"))
    )
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("stack", [2, 3])
def test_stacked_training_equals_one_by_one_to_rounding(data, stack, tmp_path):
    alone = last(run(data, SUBSETS, tmp_path / "alone"))
    together = last(run(data, SUBSETS, tmp_path / "together", stack=stack))
    for name, tensor in alone.items():
        assert tensor.shape[0] == len(SUBSETS)
        # As above: rounding, magnified by Adam's division.
        torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=2e-5)


def test_equal_subsets_give_equal_members(data, tmp_path):
    trained = last(run(data, [SUBSETS[0], SUBSETS[1], SUBSETS[0]], tmp_path, stack=3))
    for tensor in trained.values():
        torch.testing.assert_close(tensor[0], tensor[2], rtol=1e-3, atol=2e-5)
    assert any(not torch.equal(tensor[0], tensor[1]) for tensor in trained.values())


def same(first, second):
    assert first.keys() == second.keys()
    for step, weights in first.items():
        assert safetensors.torch.save(weights) == safetensors.torch.save(second[step]), step


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
    same(run(data, SUBSETS, tmp_path / "killed", **options), whole)
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
    same(resumed, whole)


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
def test_a_run_killed_before_it_saved_its_state_goes_on_from_the_one_before(
    data, dies_at, tmp_path, monkeypatch
):
    """The kept weights of the step are written by then, and are written again."""
    options = {"stack": 3, "keep_steps": (0, 2, 3), "save_state_every_s": 0.0}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)
    save = Saved.save

    def dying(self, step, *state):
        if step == dies_at:
            raise Killed
        save(self, step, *state)

    with monkeypatch.context() as patched:
        patched.setattr(Saved, "save", dying)
        with pytest.raises(Killed):
            run(data, SUBSETS, tmp_path / "killed", **options)
    same(run(data, SUBSETS, tmp_path / "killed", **options), whole)


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
    same(run(data, SUBSETS, tmp_path / "killed", stack=3, save_state_every_s=0.0), whole)


def test_a_finished_run_is_read_and_not_trained_again(data, tmp_path, monkeypatch):
    whole = run(data, SUBSETS, tmp_path, stack=3)

    def forbidden(*_):
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Stack, "predict", forbidden)
    same(run(data, SUBSETS, tmp_path, stack=3), whole)


LONG = recipe(epochs=60)
# A program of its own, so that SIGKILL can end it; it trains as `run` does.
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
    same(run(data, SUBSETS, tmp_path / "killed", **options), whole)


def test_bf16_keeps_float32_weights_near_those_of_float32(data, tmp_path):
    mixed = last(run(data, SUBSETS, tmp_path / "mixed", recipe=recipe(mixed_precision="bf16")))
    whole = last(run(data, SUBSETS, tmp_path / "whole"))
    start = build(MODEL, SEED).state_dict()
    moved = sum(float((whole[name] - start[name]).square().sum()) for name in whole)
    apart = sum(float((whole[name] - mixed[name]).square().sum()) for name in whole)
    assert all(tensor.dtype == torch.float32 for tensor in mixed.values())
    assert 0 < apart < 0.1 * moved


def test_the_state_of_another_recipe_is_never_taken_up(data, tmp_path):
    run(data, SUBSETS[:1], tmp_path, save_state_every_s=0.0)
    other = recipe(learning_rate=0.02)
    fresh = run(data, SUBSETS[:1], tmp_path / "fresh", recipe=other)
    same(run(data, SUBSETS[:1], tmp_path, recipe=other), fresh)


def test_a_damaged_state_is_refused_with_the_folder_to_delete(data, tmp_path):
    run(data, SUBSETS[:1], tmp_path)
    (state,) = tmp_path.glob("*/state.safetensors")
    safetensors.torch.save_file({"step": torch.tensor(4)}, state)
    for content in (state.read_bytes(), b"", bytes(100)):
        state.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"{state}: .* damaged .*; delete {state.parent}"):
            run(data, SUBSETS[:1], tmp_path)


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_what_a_step_sees_does_not_depend_on_the_steps_before(data, done):
    masks = membership(SUBSETS, N_TRAIN)
    whole = list(batches(data, masks, SEED, RECIPE))
    rest = list(batches(data, masks, SEED, RECIPE, done))
    assert len(whole) == 4
    assert len(rest) == 4 - done
    for first, second in zip(whole[done:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first[:3], second[:3], strict=True))


def test_flips_show_the_mirrored_images_and_some_captions_are_dropped():
    drawn = rng.generator("test", "mirrored").standard_normal((2, 6, 4, 5, 5), dtype=np.float32)
    data = TrainingSet(drawn[0], np.arange(6), np.array([0, 1] * 3), mirrored=drawn[1])
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    n, dropped, flipped = 0, 0, 0
    masks = np.ones((1, 6), bool)
    for batch in batches(data, masks, SEED, recipe(epochs=100, caption_drop=0.3)):
        a = torch.from_numpy(abar)[batch.timesteps[0]][:, None, None, None]
        clean = ((batch.noised[0] - (1 - a).sqrt() * batch.noise[0]) / a.sqrt()).numpy()
        for image, label in zip(clean, batch.labels[0].tolist(), strict=True):
            distances = np.abs(drawn - image).mean(axis=(2, 3, 4))
            side, number = np.unravel_index(distances.argmin(), distances.shape)
            assert label in (-1, data.labels[number])
            n, dropped, flipped = n + 1, dropped + (label == -1), flipped + side
    assert n == 600
    # Four standard deviations of a binomial draw.
    assert abs(dropped / n - 0.3) < 4 * (0.3 * 0.7 / n) ** 0.5
    assert abs(flipped / n - 0.5) < 4 * (0.25 / n) ** 0.5


def test_when_states_are_saved_changes_nothing(data, tmp_path):
    often = run(data, SUBSETS, tmp_path / "often", stack=3, save_state_every_s=0.0)
    never = run(data, SUBSETS, tmp_path / "never", stack=3, save_state_every_s=1e9)
    same(often, never)


def test_global_random_state_changes_nothing_and_is_left_alone(data, tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = run(data, SUBSETS[:1], tmp_path / "first")
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    state = torch.get_rng_state()
    second = run(data, SUBSETS[:1], tmp_path / "second")
    same(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_step_0_is_the_initial_network_of_the_seed(data, tmp_path):
    kept = run(data, SUBSETS[:1], tmp_path, keep_steps=(0,))
    for name, parameter in build(MODEL, SEED).named_parameters():
        assert torch.equal(kept[0][name][0], parameter)


def changed(**config):
    return msgspec.structs.replace(
        RECIPE, model=Model(family="unet2d", config={**MODEL.config, **config})
    )


DROPOUT = changed(dropout=0.3)
ATTENTION = changed(add_attention=True, attention_head_dim=4)


@pytest.mark.parametrize(("recipe", "kind"), [(DROPOUT, "dropout"), (ATTENTION, "attention")])
def test_a_network_that_cannot_be_stacked_is_refused(data, recipe, kind, tmp_path):
    with pytest.raises(ConfigError, match=rf"jobs\.models_per_stack: a model with {kind}"):
        run(data, SUBSETS, tmp_path, stack=3, recipe=recipe)


def test_a_network_with_attention_trains_alone(data, tmp_path):
    trained = last(run(data, SUBSETS[:1], tmp_path, recipe=ATTENTION))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in trained.values())


def test_training_with_dropout_equals_a_plain_loop_that_keys_it_by_the_step(data, tmp_path):
    trained = last(run(data, SUBSETS[:1], tmp_path, recipe=DROPOUT))
    expected = plain_training(data, SUBSETS[0], SEED, model=DROPOUT.model)
    for name, parameter in expected.items():
        # As without dropout.
        torch.testing.assert_close(trained[name][0], parameter.detach(), rtol=1e-3, atol=2e-5)


def test_dropout_is_keyed_by_the_step(data, tmp_path):
    first = run(data, SUBSETS[:1], tmp_path / "first", recipe=DROPOUT)
    torch.manual_seed(9)
    same(run(data, SUBSETS[:1], tmp_path / "second", recipe=DROPOUT), first)
    plain = last(run(data, SUBSETS[:1], tmp_path / "plain"))
    assert any(not torch.equal(plain[name], tensor) for name, tensor in last(first).items())


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
    same(run(data, SUBSETS[:2], tmp_path / "killed", **options), whole)


def test_a_network_with_frozen_parameters_is_refused(data, tmp_path):
    fourier = changed(time_embedding_type="fourier")
    assert not build(fourier.model, SEED).get_parameter("time_proj.weight").requires_grad
    with pytest.raises(ConfigError, match=r"not trained \(time_proj\.weight\)"):
        run(data, SUBSETS[:1], tmp_path, recipe=fourier)


@pytest.mark.parametrize("key", ["in_channels", "out_channels"])
def test_a_network_whose_channels_are_left_out_is_refused(data, key, tmp_path):
    config = {name: value for name, value in MODEL.config.items() if name != key}
    silent = msgspec.structs.replace(RECIPE, model=Model(family="unet2d", config=config))
    with pytest.raises(ConfigError, match=rf"model\.config\.{key}: "):
        run(data, SUBSETS[:1], tmp_path, recipe=silent)


@pytest.mark.parametrize(
    ("key", "value"), [("in_channels", 3), ("out_channels", 3), ("sample_size", 16)]
)
def test_a_network_that_does_not_fit_the_images_is_refused(data, key, value, tmp_path):
    with pytest.raises(ConfigError, match=rf"model\.config\.{key}: found {value}"):
        run(data, SUBSETS[:1], tmp_path, recipe=changed(**{key: value}))


def test_seeds_differ(data, tmp_path):
    first = last(run(data, SUBSETS[:1], tmp_path / "first"))
    second = last(run(data, SUBSETS[:1], tmp_path / "second", seed=SEED + 1))
    assert all(
        not torch.equal(first[name], second[name])
        for name in first
        if name.endswith("conv1.weight")
    )
