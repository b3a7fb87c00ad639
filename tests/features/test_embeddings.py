"""Embeddings against activations read by hand."""

import numpy as np
import pytest
import torch
from tiny import SCHEDULE, images, network

from diffattr import rng
from diffattr.config import ConfigError, EmbeddingOptions
from diffattr.features.embeddings import check, make

ABAR = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
SEED = 6


def bottleneck(n_timesteps=2, batch_size=2, unet=None):
    return make(
        EmbeddingOptions(kind="bottleneck", options={"n_timesteps": n_timesteps}),
        network=unet or network(),
        schedule=SCHEDULE,
        seed=SEED,
        batch_size=batch_size,
        device="cpu",
    )


def middle(unet, x, t):
    """The middle block's output, by walking through diffusers' layers."""
    sample = torch.tensor(x[None], dtype=torch.float32)
    embedding = unet.time_embedding(unet.time_proj(torch.tensor([t])))
    sample = unet.conv_in(sample)
    for block in unet.down_blocks:
        sample, _ = block(hidden_states=sample, temb=embedding)
    return unet.mid_block(sample, embedding)[0].detach().numpy()


def test_a_bottleneck_embedding_is_the_mean_activation_under_common_noise():
    unet = network()
    found = bottleneck()(images(3))
    for image, row in zip(images(3), found, strict=True):
        expected = 0
        for t in (250, 750):  # midpoints of two halves of the schedule
            noise = rng.Stream(SEED, "embedding").normal(0, t, 0, (1, 8, 8))
            expected = expected + middle(
                unet, np.sqrt(ABAR[t]) * image + np.sqrt(1 - ABAR[t]) * noise, t
            )
        np.testing.assert_allclose(row, expected.ravel() / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_and_order_change_rounding_only(batch_size):
    whole = bottleneck()(images(5))
    order = [3, 0, 4, 1, 2]
    found = bottleneck(batch_size=batch_size)(images(5)[order])
    np.testing.assert_allclose(found, whole[order], rtol=1e-4, atol=1e-5)


def test_a_network_without_middle_block_is_refused():
    with pytest.raises(
        ConfigError, match=r"^kind: embedding bottleneck needs a network with a mid"
    ):
        bottleneck(unet=torch.nn.Linear(2, 2))


def test_options_are_checked_without_a_network():
    check(EmbeddingOptions(kind="bottleneck", options={"n_timesteps": 1000}), SCHEDULE)
    with pytest.raises(ConfigError, match=r"^options: .*n_timesteps"):
        check(EmbeddingOptions(kind="bottleneck"), SCHEDULE)
    with pytest.raises(ConfigError, match=r"^options: .*\(options of clip: model, weights\)"):
        check(EmbeddingOptions(kind="clip", options={"model": "ViT-B-32"}), SCHEDULE)
