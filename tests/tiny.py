"""The tiny model, images and recipe that tests share, and training with them."""

import msgspec
import numpy as np

from diffattr import rng
from diffattr.config import Model, NoiseSchedule, Recipe, Training

MODEL = Model(
    family="unet2d",
    config={
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": [4, 8],
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "add_attention": False,
    },
)
SCHEDULE = NoiseSchedule(n_timesteps=1000, beta_schedule="linear", beta_start=0.0001, beta_end=0.02)
TRAINING = Training(
    epochs=2,
    batch_size=4,
    learning_rate=0.01,
    warmup_fraction=0.1,
    betas=(0.95, 0.999),
    epsilon=1e-8,
    weight_decay=1e-6,
    clip_norm=1.0,
    horizontal_flip=True,
    mixed_precision="no",
)
RECIPE = Recipe(model=MODEL, noise_schedule=SCHEDULE, training=TRAINING)


def images(n):
    """Return images (n, 1, 8, 8), float32."""
    drawn = rng.generator("numbers", "images").standard_normal((n, 1, 8, 8))
    return np.tanh(drawn).astype(np.float32)


def uniform_images(n, channels, height, width, seed):
    """Return images in [-1, 1], float32."""
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, size=(n, channels, height, width)).astype(np.float32)


def network():
    """Return initial weights, made livelier: diffusers starts its output layer near zero."""
    import torch

    from diffattr.diffusion.models import build

    built = build(MODEL, seed=3)
    generator = rng.generator("numbers", "weights")
    with torch.no_grad():
        for parameter in built.parameters():
            noise = generator.standard_normal(tuple(parameter.shape), dtype=np.float32)
            parameter.add_(0.1 * torch.from_numpy(noise))
    return built.eval()


# Three subsets of 13 images.
SUBSETS = [np.array(s) for s in ([0, 1, 4, 6, 8, 11], [1, 2, 3, 8, 9, 12], [0, 2, 5, 7, 8, 10])]
SEED = 5


def training_set():
    """Return a training set whose ids are not its positions."""
    from diffattr.diffusion.training import TrainingSet

    drawn = rng.generator("test", "images").uniform(-1, 1, (13, 1, 8, 8))
    return TrainingSet(drawn.astype(np.float32), np.arange(13) * 7 + 3)


def recipe(**changes):
    """Return the recipe with another training."""
    return msgspec.structs.replace(RECIPE, training=msgspec.structs.replace(TRAINING, **changes))


def of_model(**config):
    """Return the recipe with another model."""
    changed = Model(family="unet2d", config={**MODEL.config, **config})
    return msgspec.structs.replace(RECIPE, model=changed)


def run(data, subsets, scratch, *, stack=1, seed=SEED, recipe=RECIPE, **options):
    """Return the weights of one model per subset, by step."""
    from diffattr.diffusion.training import train

    return train(data, subsets, seed, recipe, models_per_stack=stack, scratch=scratch, **options)


def assert_same(first, second):
    """Compare weights by step, bit for bit."""
    import safetensors.torch

    assert first.keys() == second.keys()
    for step, weights in first.items():
        assert safetensors.torch.save(weights) == safetensors.torch.save(second[step]), step
