"""Queries drawn again against drawing and measuring them one by one."""

import numpy as np
from tiny import MODEL, SCHEDULE, images, network

from diffattr.config import Losses, Sampling
from diffattr.counterfactual.redrawing import own_losses, redrawn
from diffattr.diffusion.denoising import loss
from diffattr.diffusion.losses import loss_tables
from diffattr.diffusion.models import build
from diffattr.diffusion.sampling import Sampler

SEED, N_STEPS = 3, 4
SAMPLING = Sampling(n_images=3, n_steps=N_STEPS)


def test_the_network_that_drew_a_query_draws_it_again():
    drawn = Sampler(network(), SCHEDULE, SAMPLING, SEED).images(range(5))
    again = redrawn([network()] * 2, [4, 1], SCHEDULE, SAMPLING, SEED)
    # Rounding: the batch was of five.
    np.testing.assert_allclose(again, drawn[[4, 1]], atol=1e-5)


def test_each_query_is_drawn_by_its_own_network():
    other = build(MODEL, seed=8).eval()
    found = redrawn([other, network()], [2, 2], SCHEDULE, SAMPLING, SEED)
    assert np.abs(found[0] - found[1]).max() > 1e-2
    np.testing.assert_array_equal(found[1], redrawn([network()], [2], SCHEDULE, SAMPLING, SEED)[0])


def test_own_losses_are_the_diagonal_of_the_loss_table():
    networks = [network(), build(MODEL, seed=8).eval(), build(MODEL, seed=9).eval()]
    numbers, options = [7, 0, 30], Losses(n_timesteps=4, draws=2)
    found = own_losses(networks, images(3), numbers, SCHEDULE, options, SEED)
    table = loss_tables(
        networks, images(3), np.array(numbers), "gen", SCHEDULE, options, SEED, {"loss": loss}
    )
    for query in range(3):
        np.testing.assert_allclose(found[query], table["loss"][query, :, query], rtol=1e-5)
