"""Training against a plain loop, one by one against stacked, killed against whole."""

import itertools
import math

import msgspec
import numpy as np
import pytest
import torch
from numbers_of_stages import MODEL, SCHEDULE, TRAINING

from diffattr import rng
from diffattr.config import ConfigError, Model, Recipe
from diffattr.diffusion import training
from diffattr.diffusion.models import build
from diffattr.diffusion.training import TrainingSet, train

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


def plain_training(data, subset, seed):
    """The recipe as one would write it down, with one module and torch's own optimiser."""
    network = build(MODEL, seed).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=0.0, betas=(0.95, 0.999), eps=1e-8, weight_decay=1e-6
    )
    betas = np.linspace(0.0001, 0.02, 1000)
    abar = np.cumprod(1 - betas)
    per_epoch = math.ceil(len(subset) / TRAINING.batch_size)
    n_steps = TRAINING.epochs * per_epoch
    warmup = math.ceil(0.1 * n_steps)
    step = 0
    for epoch in range(TRAINING.epochs):
        order = rng.generator(seed, "order", epoch).permutation(N_TRAIN)
        order = [position for position in order if position in set(subset.tolist())]
        for start in range(0, len(order), TRAINING.batch_size):
            inputs, noises, timesteps = [], [], []
            for position in order[start : start + TRAINING.batch_size]:
                own = rng.Stream(seed, "training").generator(int(data.ids[position]), epoch)
                t, flipped = int(own.integers(1000)), own.random() < 0.5
                noise = own.standard_normal((1, 8, 8), dtype=np.float32)
                image = data.images[position]
                image = image[:, :, ::-1] if flipped else image
                inputs.append(math.sqrt(abar[t]) * image + math.sqrt(1 - abar[t]) * noise)
                noises.append(noise)
                timesteps.append(t)
            x = torch.tensor(np.array(inputs), dtype=torch.float32)
            target = torch.tensor(np.array(noises))
            loss = ((network(x, torch.tensor(timesteps)).sample - target) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            if step < warmup:
                lr = TRAINING.learning_rate * step / warmup
            else:
                progress = (step - warmup) / (n_steps - warmup)
                lr = TRAINING.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
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
        for name, tensor in weights.items():
            assert torch.equal(tensor, second[step][name]), (step, name)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code under test can catch it by accident."""


@pytest.mark.parametrize("steps_before", [1, 2, 3])
@pytest.mark.parametrize("stack", [1, 3])
def test_a_killed_run_goes_on_bit_for_bit(data, steps_before, stack, tmp_path, monkeypatch):
    options = {"stack": stack, "keep_steps": (0, 2), "save_state_every_s": 0.0}
    whole = run(data, SUBSETS, tmp_path / "whole", **options)
    batches = training._Stack._batches

    def interrupted(self, done):
        yield from itertools.islice(batches(self, done), steps_before)
        raise Killed

    monkeypatch.setattr(training._Stack, "_batches", interrupted)
    with pytest.raises(Killed):
        run(data, SUBSETS, tmp_path / "killed", **options)
    resumed = []

    def watched(self, done):
        resumed.append(done)
        return batches(self, done)

    monkeypatch.setattr(training._Stack, "_batches", watched)
    same(run(data, SUBSETS, tmp_path / "killed", **options), whole)
    assert resumed[0] == steps_before


def test_the_state_of_another_recipe_is_never_taken_up(data, tmp_path):
    run(data, SUBSETS[:1], tmp_path, save_state_every_s=0.0)
    other = recipe(learning_rate=0.02)
    fresh = run(data, SUBSETS[:1], tmp_path / "fresh", recipe=other)
    same(run(data, SUBSETS[:1], tmp_path, recipe=other), fresh)


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


def test_dropout_is_keyed_by_the_step(data, tmp_path):
    first = run(data, SUBSETS[:1], tmp_path / "first", recipe=DROPOUT)
    torch.manual_seed(9)
    same(run(data, SUBSETS[:1], tmp_path / "second", recipe=DROPOUT), first)
    plain = last(run(data, SUBSETS[:1], tmp_path / "plain"))
    assert any(not torch.equal(plain[name], tensor) for name, tensor in last(first).items())


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
