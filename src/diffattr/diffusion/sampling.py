"""Generated queries by DDIM.

Source: Song, Meng, Ermon, "Denoising diffusion implicit models" (ICLR 2021), eta = 0.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from tqdm import tqdm

from diffattr import rng
from diffattr.artifacts import beside
from diffattr.config import NoiseSchedule
from diffattr.diffusion.models import predict


@torch.no_grad()
def generate(
    network: torch.nn.Module,
    n_images: int,
    schedule: NoiseSchedule,
    n_steps: int,
    seed: int,
    *,
    batch_size: int = 128,
    device: str = "cpu",
) -> Float32[np.ndarray, "image channel height width"]:
    """Return images in [-1, 1]; the starting noise of each is keyed by its number."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler = DDIMScheduler(
        num_train_timesteps=schedule.n_timesteps,
        beta_schedule=schedule.beta_schedule,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
    )
    scheduler.set_timesteps(n_steps)
    stream = rng.Stream(seed, "generation")
    network = network.eval().to(device)
    config: Any = network.config
    shape = (config["in_channels"], config["sample_size"], config["sample_size"])
    batches = []
    starts = range(0, n_images, batch_size)
    for start in tqdm(starts, desc="generate", unit="batch", mininterval=10):
        numbers = range(start, min(start + batch_size, n_images))
        images = torch.from_numpy(np.stack([stream.normal(i, 0, 0, shape) for i in numbers]))
        images = images.to(device)
        for timestep in scheduler.timesteps:
            timesteps = timestep.to(device).expand(len(images))
            prediction = predict(network, images, timesteps)
            step: Any = scheduler.step(prediction, int(timestep), images, eta=0.0)
            images = step.prev_sample
        batches.append(images.clamp(-1, 1).cpu().numpy())
    return np.concatenate(batches)


def write_pictures(
    directory: str | Path, images: Float32[np.ndarray, "image channel height width"]
):
    """Write images in [-1, 1] as 8-bit PNGs, named by their number."""
    from PIL import Image

    with beside(directory) as temporary:
        temporary.mkdir()
        for number, image in enumerate(images):
            pixels = ((image + 1) * 127.5).round().astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(
                temporary / f"{number:04d}.png"
            )
