"""Training against a plain loop, and one by one against stacked."""

import math

import msgspec
import numpy as np
import pytest
import torch
from tiny import (
    MODEL,
    RECIPE,
    SEED,
    SUBSETS,
    TRAINING,
    assert_same,
    of_model,
    recipe,
    run,
    training_set,
)

from diffattr import rng
from diffattr.config import ConfigError, Model
from diffattr.data.subsets import membership
from diffattr.diffusion.models import build
from diffattr.diffusion.training import TrainingSet
from diffattr.diffusion.training.batches import batches


@pytest.fixture(scope="module")
def data():
    return training_set()


def last(weights):
    return weights[max(weights)]


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
        order = rng.generator(seed, "order", epoch).permutation(len(data.images))
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
    assert_same(run(data, [SUBSETS[0][::-1].copy()], tmp_path / "second"), first)


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


def test_bf16_keeps_float32_weights_near_those_of_float32(data, tmp_path):
    mixed = last(run(data, SUBSETS, tmp_path / "mixed", recipe=recipe(mixed_precision="bf16")))
    whole = last(run(data, SUBSETS, tmp_path / "whole"))
    start = build(MODEL, SEED).state_dict()
    moved = sum(float((whole[name] - start[name]).square().sum()) for name in whole)
    apart = sum(float((whole[name] - mixed[name]).square().sum()) for name in whole)
    assert all(tensor.dtype == torch.float32 for tensor in mixed.values())
    assert 0 < apart < 0.1 * moved


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_what_a_step_sees_does_not_depend_on_the_steps_before(data, done):
    masks = membership(SUBSETS, len(data.images))
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


def test_global_random_state_changes_nothing_and_is_left_alone(data, tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = run(data, SUBSETS[:1], tmp_path / "first")
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    state = torch.get_rng_state()
    second = run(data, SUBSETS[:1], tmp_path / "second")
    assert_same(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_step_0_is_the_initial_network_of_the_seed(data, tmp_path):
    kept = run(data, SUBSETS[:1], tmp_path, keep_steps=(0,))
    for name, parameter in build(MODEL, SEED).named_parameters():
        assert torch.equal(kept[0][name][0], parameter)


DROPOUT = of_model(dropout=0.3)
ATTENTION = of_model(add_attention=True, attention_head_dim=4)


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
    assert_same(run(data, SUBSETS[:1], tmp_path / "second", recipe=DROPOUT), first)
    plain = last(run(data, SUBSETS[:1], tmp_path / "plain"))
    assert any(not torch.equal(plain[name], tensor) for name, tensor in last(first).items())


def test_a_network_with_frozen_parameters_is_refused(data, tmp_path):
    fourier = of_model(time_embedding_type="fourier")
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
        run(data, SUBSETS[:1], tmp_path, recipe=of_model(**{key: value}))


def test_seeds_differ(data, tmp_path):
    first = last(run(data, SUBSETS[:1], tmp_path / "first"))
    second = last(run(data, SUBSETS[:1], tmp_path / "second", seed=SEED + 1))
    assert all(
        not torch.equal(first[name], second[name])
        for name in first
        if name.endswith("conv1.weight")
    )
