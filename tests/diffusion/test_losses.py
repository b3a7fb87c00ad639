"""The measurement against a naive loop in float64."""

import copy

import msgspec
import numpy as np
import pytest
import torch
from tiny import MODEL, SCHEDULE, images, network

from diffattr import rng
from diffattr.config import Losses
from diffattr.diffusion.denoising import loss
from diffattr.diffusion.losses import loss_tables
from diffattr.diffusion.models import build

IDS = np.array([11, 4, 250])
OPTIONS = Losses(n_timesteps=4, draws=2)
SEED = 9


@pytest.fixture(scope="module")
def networks():
    return [network(), build(MODEL, seed=8).eval()]


def table(networks, batch_size=5, queries=slice(None), options=OPTIONS, split="val"):
    return loss_tables(
        networks,
        images(3)[queries],
        IDS[queries],
        split,
        SCHEDULE,
        options,
        SEED,
        {"loss": loss},
        batch_size=batch_size,
    )["loss"]


def naive(own):
    double = copy.deepcopy(own).double()
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    losses = np.zeros((4, 3))
    # The middles of 0-249, 250-499, 500-749, 750-999.
    for row, t in enumerate([125, 375, 625, 875]):
        for column, (image, image_id) in enumerate(zip(images(3), IDS, strict=True)):
            for draw in range(2):
                noise = rng.Stream(SEED, "losses", "val").normal(int(image_id), t, draw, (1, 8, 8))
                x = np.sqrt(abar[t]) * image + np.sqrt(1 - abar[t]) * noise
                with torch.no_grad():
                    predicted = double(torch.tensor(x[None]), torch.tensor([t])).sample[0]
                losses[row, column] += ((predicted.numpy() - noise) ** 2).mean() / 2
    return losses


def test_the_table_equals_a_naive_loop(networks):
    found = table(networks)
    assert found.dtype == np.float32
    for losses, own in zip(found, networks, strict=True):
        # float32 through some twenty layers.
        np.testing.assert_allclose(losses, naive(own), rtol=1e-4)


def test_every_function_has_a_table_and_leaves_the_losses_as_they_are(networks):
    functions = {
        "loss": loss,
        "squares": lambda d: d.prediction.square().flatten(1).mean(1),
        "product": lambda d: d.elbo_weight * (d.prediction * d.noise).flatten(1).sum(1),
    }
    options = Losses(n_timesteps=1, draws=1)
    arguments = (networks, images(3), IDS, "val", SCHEDULE, options, SEED)
    found = loss_tables(*arguments, functions)
    alone = loss_tables(*arguments, {"loss": loss})
    np.testing.assert_array_equal(found["loss"], alone["loss"])
    betas = np.linspace(0.0001, 0.02, 1000)
    abar = np.cumprod(1 - betas)[500]
    weight = betas[500] / (2 * (1 - betas[500]) * (1 - abar))
    for query, image_id in enumerate(IDS):
        noise = rng.Stream(SEED, "losses", "val").normal(int(image_id), 500, 0, (1, 8, 8))
        x = np.sqrt(abar) * images(3)[query] + np.sqrt(1 - abar) * noise
        for model, own in enumerate(networks):
            with torch.no_grad():
                predicted = own(torch.tensor(x[None], dtype=torch.float32), 500).sample[0].numpy()
            expected = {
                "squares": np.square(predicted).mean(),
                "product": weight * (predicted * noise).sum(),
            }
            for name, value in expected.items():
                # float32 through some twenty layers.
                assert found[name][model, 0, query] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_changes_rounding_only(networks, batch_size):
    np.testing.assert_allclose(table(networks, batch_size), table(networks), rtol=1e-5)


def test_a_model_s_losses_do_not_depend_on_its_block(networks):
    np.testing.assert_array_equal(table(networks)[1:], table(networks[1:]))


def test_a_query_s_losses_do_not_depend_on_the_other_queries(networks):
    alone = table(networks, queries=slice(1, 2))
    np.testing.assert_allclose(alone[:, :, 0], table(networks)[:, :, 1], rtol=1e-5)


def test_splits_have_noise_of_their_own(networks):
    assert not np.allclose(table(networks, split="gen"), table(networks), rtol=1e-3)


def test_the_global_random_state_and_the_training_mode_change_nothing():
    """Dropout is for training; a network that comes in training mode is measured without."""
    model = msgspec.structs.replace(MODEL, config={**MODEL.config, "dropout": 0.5})
    torch.manual_seed(1)
    evaluated = table([build(model, seed=2).eval()])
    torch.manual_seed(2)
    np.testing.assert_array_equal(table([build(model, seed=2).train()]), evaluated)


def test_draws_are_averaged_and_nested(networks):
    """The first draw is the same however many there are."""
    one, two = (
        table(networks, options=Losses(n_timesteps=4, draws=draws)).astype(float)
        for draws in (1, 2)
    )
    second = 2 * two - one
    # The second draw, computed separately: the loss of an untouched loop at draw 1.
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))[125]
    noise = rng.Stream(SEED, "losses", "val").normal(11, 125, 1, (1, 8, 8))
    x = torch.tensor(np.sqrt(abar) * images(1) + np.sqrt(1 - abar) * noise[None])
    with torch.no_grad():
        predicted = networks[0](x.float(), torch.tensor([125])).sample[0].numpy()
    # A difference of two float32 numbers near 1.
    assert second[0, 0, 0] == pytest.approx(((predicted - noise) ** 2).mean(), rel=1e-4)
