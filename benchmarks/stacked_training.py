"""Is a block of subset models trained faster as one stacked model, or one by one?"""

import tempfile
import time
from pathlib import Path

import numpy as np
from common import SCHEDULE, arguments, show, unet

from diffattr.config import Recipe, Training
from diffattr.diffusion.training import TrainingSet, train

options = arguments(__doc__)
rows = []
for size, batch_size in [(8, 16)] if options.tiny else [(8, 16), (8, 64), (16, 64)]:
    n_models, n_images = (2, 32) if options.tiny else (16, 8 * batch_size)
    training = Training(
        epochs=1 if options.tiny else 2,
        batch_size=batch_size,
        learning_rate=1e-3,
        warmup_fraction=0.1,
        betas=(0.95, 0.999),
        epsilon=1e-8,
        weight_decay=1e-6,
        clip_norm=1.0,
        horizontal_flip=False,
        mixed_precision="no",
    )
    recipe = Recipe(model=unet(size), noise_schedule=SCHEDULE, training=training)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((2 * n_images, 1, size, size)).astype(np.float32)
    data = TrainingSet(images, np.arange(2 * n_images))
    subsets = [np.sort(generator.permutation(2 * n_images)[:n_images]) for _ in range(n_models)]
    steps = n_models * training.n_steps(n_images)
    with tempfile.TemporaryDirectory() as scratch:  # imports and first calls are not training
        train(data, subsets[:1], 1, recipe, models_per_stack=1, scratch=Path(scratch))
    per_step = {}
    for stack in sorted({1, min(8, n_models), n_models}):
        with tempfile.TemporaryDirectory() as scratch:
            start = time.perf_counter()
            train(data, subsets, 0, recipe, models_per_stack=stack, scratch=Path(scratch))
            per_step[stack] = (time.perf_counter() - start) / steps
    rows += [
        [f"{size}x{size}", batch_size, stack, 1e3 * seconds, per_step[1] / seconds]
        for stack, seconds in per_step.items()
    ]
show(
    "Training, one thread",
    ["images", "batch", "models per stack", "ms per model-step", "times one by one"],
    rows,
)
