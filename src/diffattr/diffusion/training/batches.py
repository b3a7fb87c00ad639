"""The batch of each training step: a pure function of seed, epoch and images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from diffattr import rng
from diffattr.config import Recipe
from diffattr.diffusion.families import Captions
from diffattr.diffusion.noising import alphas_cumprod, noised


@dataclass(frozen=True)
class TrainingSet:
    """The images that subsets are drawn from; `ids` key their noise.

    `labels` are the images' rows in `captions`, for text-conditioned networks. `mirrored` are the
    flipped images if flipping the array is not enough (latents).
    """

    images: Float32[np.ndarray, "train channel height width"]
    ids: Int64[np.ndarray, " train"]
    labels: Int64[np.ndarray, " train"] | None = None
    captions: Captions | None = None
    mirrored: Float32[np.ndarray, "train channel height width"] | None = None


class Batch(NamedTuple):
    """The input and the target of one step for every member of a stack."""

    noised: Float32[Tensor, "member image channel height width"]
    noise: Float32[Tensor, "member image channel height width"]
    timesteps: Int64[Tensor, "member image"]
    labels: Int64[Tensor, "member image"] | None

    def to(self, device: str) -> "Batch":
        """Return the batch on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Batch(
            self.noised.to(device), self.noise.to(device), self.timesteps.to(device), labels
        )


def batches(
    data: TrainingSet,
    masks: Bool[np.ndarray, "member train"],
    seed: int,
    recipe: Recipe,
    done: int = 0,
) -> Iterator[Batch]:
    """Yield the batch of every step after the first `done`, on the CPU.

    All members have the same number of images and visit them in a common order.
    """
    training, abar = recipe.training, alphas_cumprod(recipe.noise_schedule)
    per_epoch = math.ceil(int(masks[0].sum()) / training.batch_size)
    for epoch in range(done // per_epoch, training.epochs):
        order = rng.generator(seed, "order", epoch).permutation(len(data.images))
        orders = np.stack([order[mask[order]] for mask in masks])
        for number in range(max(done - epoch * per_epoch, 0), per_epoch):
            start = number * training.batch_size
            chosen = orders[:, start : start + training.batch_size]
            yield _batch(data, chosen, epoch, seed, recipe, abar)


def _batch(
    data: TrainingSet,
    chosen: Int64[np.ndarray, "member image"],
    epoch: int,
    seed: int,
    recipe: Recipe,
    abar: Float32[Tensor, " timestep"],
) -> Batch:
    """Return the batch of some images; noise that members share is drawn once.

    Some images get the empty caption, label -1, for classifier-free guidance (Ho and Salimans,
    arXiv 2207.12598).
    """
    unique, inverse = np.unique(chosen, return_inverse=True)
    stream = rng.Stream(seed, "training")
    generators = [stream.generator(int(i), epoch) for i in data.ids[unique]]
    timesteps = torch.tensor([int(g.integers(len(abar))) for g in generators])
    flips = np.array([g.random() < 0.5 for g in generators])
    shape = data.images.shape[1:]
    noise = torch.from_numpy(
        np.stack([g.standard_normal(shape, dtype=np.float32) for g in generators])
    )
    images = data.images[unique]
    if recipe.training.horizontal_flip:
        mirrored = images[..., ::-1] if data.mirrored is None else data.mirrored[unique]
        images = np.where(flips[:, None, None, None], mirrored, images)
    x = noised(torch.from_numpy(images), noise, abar[timesteps])
    member, labels = torch.from_numpy(inverse.reshape(chosen.shape)), None
    if data.labels is not None:
        drops = [g.random() < recipe.training.caption_drop for g in generators]
        labels = torch.from_numpy(np.where(drops, -1, data.labels[unique]))[member]
    return Batch(x[member], noise[member], timesteps[member], labels)
