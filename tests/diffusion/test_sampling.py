"""DDIM against its update written out."""

import numpy as np
import pytest
import torch
from numbers_of_stages import SCHEDULE, network
from PIL import Image

from diffattr import rng
from diffattr.diffusion.sampling import generate, write_pictures

SEED, N_STEPS = 3, 10


def by_hand(number):
    """Song et al. (2021), eq. 12, eta 0, with the clean estimate clipped to [-1, 1]."""
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    double = network().double()
    x = rng.Stream(SEED, "generation").normal(number, 0, 0, (1, 8, 8)).astype(np.float64)
    for t in range(900, -1, -100):
        with torch.no_grad():
            noise = double(torch.tensor(x[None]), torch.tensor([t])).sample[0].numpy()
        clean = np.clip((x - np.sqrt(1 - abar[t]) * noise) / np.sqrt(abar[t]), -1, 1)
        before = abar[t - 100] if t >= 100 else 1.0
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
    return np.clip(x, -1, 1)


@pytest.fixture(scope="module")
def generated():
    return generate(network(), 3, SCHEDULE, N_STEPS, SEED)


def test_images_equal_the_update_written_out(generated):
    assert generated.shape == (3, 1, 8, 8)
    for number, image in enumerate(generated):
        # float32 rounding, carried through ten steps.
        np.testing.assert_allclose(image, by_hand(number), atol=1e-3)


def test_an_image_depends_on_its_number_alone(generated):
    more = generate(network(), 5, SCHEDULE, N_STEPS, SEED, batch_size=2)
    np.testing.assert_allclose(more[:3], generated, atol=1e-4)
    assert not np.allclose(generate(network(), 1, SCHEDULE, N_STEPS, SEED + 1), generated[:1])


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_the_images_in_8_bits(channels, tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (2, channels, 4, 4)).astype(np.float32)
    images[0, 0, 0, :2] = -1, 1
    write_pictures(tmp_path / "pictures", images)
    for number, image in enumerate(images):
        with Image.open(tmp_path / "pictures" / f"{number:04d}.png") as picture:
            pixels = np.asarray(picture).reshape(4, 4, channels).transpose(2, 0, 1)
        # Half of a step between two 8-bit values.
        np.testing.assert_allclose(pixels / 127.5 - 1, image, atol=0.5 / 127.5 + 1e-6)
