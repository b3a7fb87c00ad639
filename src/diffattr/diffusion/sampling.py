"""Generated queries by DDIM.

Source: Song, Meng, Ermon, "Denoising diffusion implicit models" (ICLR 2021), eta = 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from tqdm import tqdm

from diffattr import rng
from diffattr.artifacts import beside, read_array, readable
from diffattr.config import NoiseSchedule
from diffattr.diffusion.models import predict


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
    sampler = Sampler(network, schedule, n_steps, seed, device)
    batches = []
    for numbers in _batches(n_images, batch_size):
        *_, last = sampler.steps(numbers)
        batches.append(last.images.clamp(-1, 1).cpu().numpy())
    return np.concatenate(batches)


def trajectories(
    network: torch.nn.Module,
    n_images: int,
    schedule: NoiseSchedule,
    n_steps: int,
    seed: int,
    *,
    batch_size: int = 128,
    device: str = "cpu",
) -> Float32[np.ndarray, "image step channel height width"]:
    """Return the clean image that the network foresees at every step of each generation.

    The steps are those of `sampling_timesteps`; the last one is the generated image.
    """
    sampler = Sampler(network, schedule, n_steps, seed, device)
    batches = []
    for numbers in _batches(n_images, batch_size):
        foreseen = [step.foreseen.cpu().numpy() for step in sampler.steps(numbers)]
        batches.append(np.stack(foreseen, axis=1))
    return np.concatenate(batches)


def read_trajectories(
    path: str | Path, n_images: int, n_steps: int, network: torch.nn.Module
) -> Float32[np.ndarray, "image step channel height width"]:
    """Return trajectories of so many steps, of so many images that the network takes.

    Raises:
        ArtifactError: they have other steps, are of other images, or not of finite numbers.
    """
    found, expected = read_array(path), (n_images, n_steps, *_image_shape(network))
    with readable(path, "trajectory"):
        if found.shape != expected:
            raise ValueError(
                f"of shape {found.shape}, expected {expected}: image, step, channel, height, width"
            )
        if not np.isfinite(found).all():
            raise ValueError("holds numbers that are not finite")
    return found


def sampling_timesteps(schedule: NoiseSchedule, n_steps: int) -> list[int]:
    """Return the timesteps that the sampler visits, the noisiest first."""
    return _scheduler(schedule, n_steps).timesteps.tolist()


@dataclass(frozen=True)
class Step:
    """Images after one step, and the clean images that the network foresaw in it."""

    images: Tensor
    foreseen: Tensor


class Sampler:
    """One network with one way to sample from it."""

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: NoiseSchedule,
        n_steps: int,
        seed: int,
        device: str,
    ):
        self._network = network.eval().to(device)
        self._scheduler = _scheduler(schedule, n_steps)
        self._stream = rng.Stream(seed, "generation")
        self._shape = _image_shape(network)
        self._device = device

    def steps(self, numbers: Sequence[int]) -> Iterator[Step]:
        """Yield every step of the generation of some images, named by their numbers."""
        noise = [self._stream.normal(number, 0, 0, self._shape) for number in numbers]
        images = torch.from_numpy(np.stack(noise)).to(self._device)
        for timestep in self._scheduler.timesteps:
            timesteps = timestep.to(self._device).expand(len(images))
            with torch.no_grad():
                prediction = predict(self._network, images, timesteps)
            made: Any = self._scheduler.step(prediction, int(timestep), images, eta=0.0)
            images = made.prev_sample
            yield Step(images, made.pred_original_sample)


def _image_shape(network: torch.nn.Module) -> tuple[int, int, int]:
    config: Any = network.config
    return config["in_channels"], config["sample_size"], config["sample_size"]


def _scheduler(schedule: NoiseSchedule, n_steps: int) -> Any:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler = DDIMScheduler(
        num_train_timesteps=schedule.n_timesteps,
        beta_schedule=schedule.beta_schedule,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
    )
    scheduler.set_timesteps(n_steps)
    return scheduler


def _batches(n_images: int, batch_size: int) -> Iterator[range]:
    starts = range(0, n_images, batch_size)
    for start in tqdm(starts, desc="generate", unit="batch", mininterval=10):
        yield range(start, min(start + batch_size, n_images))


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
