"""Generated queries by DDIM.

Source: Song, Meng, Ermon, "Denoising diffusion implicit models" (ICLR 2021), eta = 0.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from diffattr import rng
from diffattr.artifacts import read_array, readable
from diffattr.config import NoiseSchedule, Sampling
from diffattr.data.splits import class_labels
from diffattr.diffusion.models import predict, slices


class Sampler:
    """A DDIM sampler of one network.

    The initial noise of each image is keyed by its number. Text-conditioned networks need the
    `labels` of all images. Guidance is classifier-free, eps(empty) + g (eps(caption) - eps(empty)),
    as in diffusers. Source: Ho and Salimans, arXiv 2207.12598, eq. 6, with g = 1 + w.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: NoiseSchedule,
        sampling: Sampling,
        seed: int,
        *,
        labels: Int64[np.ndarray, " image"] | None = None,
        batch_size: int = 128,
        device: str = "cpu",
    ):
        self._network = network.eval().to(device)
        self._scheduler = _scheduler(schedule, sampling)
        self._sampling, self._labels = sampling, labels
        self._stream = rng.Stream(seed, "generation")
        self._shape = _image_shape(network)
        self._batch_size, self._device = batch_size, device

    def images(self, numbers: Sequence[int]) -> Float32[np.ndarray, "image channel height width"]:
        """Return the images with these numbers, clipped to [-1, 1] if `sampling.clip_sample`."""
        drawn = []
        for steps in self._batches(numbers):
            # Each step is let go before the next: all of a batch would fill the memory.
            (last,) = deque(steps, maxlen=1)
            images = last.prev_sample
            images = images.clamp(-1, 1) if self._sampling.clip_sample else images
            drawn.append(images.cpu().numpy())
        return np.concatenate(drawn)

    def trajectories(
        self, numbers: Sequence[int]
    ) -> Float32[np.ndarray, "image step channel height width"]:
        """Return the clean image that the network predicts at each step of each generation.

        The steps are those of `sampling_timesteps`; the last prediction is the generated image.
        """
        clean = [
            np.stack([step.pred_original_sample.cpu().numpy() for step in steps], axis=1)
            for steps in self._batches(numbers)
        ]
        return np.concatenate(clean)

    def _batches(self, numbers: Sequence[int]) -> Iterator[Iterator[Any]]:
        """Yield the steps of each batch, as outputs of diffusers' scheduler."""
        for batch in slices(len(numbers), self._batch_size, "generate"):
            yield self._steps(numbers[batch])

    def _steps(self, numbers: Sequence[int]) -> Iterator[Any]:
        noise = [self._stream.normal(number, 0, 0, self._shape) for number in numbers]
        images = torch.from_numpy(np.stack(noise)).to(self._device)
        labels = None
        if self._labels is not None:
            labels = torch.from_numpy(self._labels[list(numbers)]).to(self._device)
        for timestep in self._scheduler.timesteps:
            timesteps = timestep.to(self._device).expand(len(images))
            with torch.no_grad():
                prediction = self._guided(images, timesteps, labels)
            step = self._scheduler.step(prediction, int(timestep), images, eta=0.0)
            images = step.prev_sample
            yield step

    def _guided(self, images: Tensor, timesteps: Tensor, labels: Tensor | None) -> Tensor:
        prediction = predict(self._network, images, timesteps, labels)
        if labels is None or self._sampling.guidance == 1:
            return prediction
        empty = predict(self._network, images, timesteps, torch.full_like(labels, -1))
        return empty + self._sampling.guidance * (prediction - empty)


def read_trajectories(
    path: str | Path, n_images: int, n_steps: int, network: torch.nn.Module
) -> Float32[np.ndarray, "image step channel height width"]:
    """Return the trajectories of `n_images` images over `n_steps` steps.

    Raises:
        ArtifactError: the file is missing or damaged, or the array has another shape or values that
            are not finite.
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


def sampling_timesteps(schedule: NoiseSchedule, sampling: Sampling) -> list[int]:
    """Return the timesteps of the sampler in descending order."""
    return _scheduler(schedule, sampling).timesteps.tolist()


def labels_in_blocks(sampling: Sampling, class_names: Sequence[str]) -> Int64[np.ndarray, " image"]:
    """Return the class of each generated image: blocks of equal length, in order.

    Raises:
        DataError: a class in `sampling.classes` does not exist.
    """
    wanted = sampling.classes or range(len(class_names))
    classes = np.array(class_labels("sampling.classes", wanted, dict(enumerate(class_names))))
    return classes[np.arange(sampling.n_images) * len(classes) // sampling.n_images]


def _image_shape(network: torch.nn.Module) -> tuple[int, int, int]:
    config: Any = network.config
    return config["in_channels"], config["sample_size"], config["sample_size"]


def _scheduler(schedule: NoiseSchedule, sampling: Sampling) -> Any:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler = DDIMScheduler(
        num_train_timesteps=schedule.n_timesteps,
        beta_schedule=schedule.beta_schedule,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
        clip_sample=sampling.clip_sample,
        steps_offset=sampling.steps_offset,
        set_alpha_to_one=sampling.set_alpha_to_one,
    )
    scheduler.set_timesteps(sampling.n_steps)
    return scheduler
