"""Projected gradients of output functions.

    phi(x) = P grad_theta  mean over (t, draw) of f(x_t, t)

The gradient of the mean is one backward pass over all timesteps of one image: no per-timestep
gradient is formed. All output functions of a pass share the forward pass.

A gradient at x_t has a part that comes from the noise in x_t. Under per-image noise that part
differs between a query and a training image and only averages out over many timesteps; under common
noise it is the same on both sides, so that their inner product compares the images.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from tqdm import tqdm

from diffattr import rng
from diffattr.config import NoiseSchedule, Pass
from diffattr.diffusion.models import predict
from diffattr.diffusion.noising import alphas_cumprod, noised, stacked_noise
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import make as make_projector


def timestep_set(kind: str, n: int, n_timesteps: int) -> Int64[np.ndarray, " timestep"]:
    """Return n timesteps: `uniform` 0, T/n, 2T/n, ... or `cumulative` 0 ... n-1 (D-TRAK's sets).

    Raises:
        ValueError: the schedule has fewer than n.
    """
    if n > n_timesteps:
        raise ValueError(f"{n} timesteps asked for, the noise schedule has {n_timesteps}")
    return np.arange(n) if kind == "cumulative" else np.arange(n) * n_timesteps // n


class GradientPass:
    """One network with one way to take features from it.

    Args:
        network: where the gradients are taken.
        schedule: the noise schedule it was trained with.
        options: timesteps, draws, output functions and projector.
        seed: keys the noise.
        device: where to compute.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: NoiseSchedule,
        options: Pass,
        seed: int,
        *,
        device: str = "cpu",
    ):
        self.options, self.seed, self.device = options, seed, device
        self.network = network.eval().to(device)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        timesteps = timestep_set(options.timesteps, options.n_timesteps, schedule.n_timesteps)
        self.timesteps = np.repeat(timesteps, options.draws).tolist()
        self.draws = np.tile(np.arange(options.draws), len(timesteps)).tolist()
        self.abar = alphas_cumprod(schedule)
        self.common = options.noise == "common"
        n_parameters = sum(parameter.numel() for parameter in self.parameters)
        self.projector = make_projector(options.projector, n_parameters, device)

    def identity(self, model_sha256: str) -> dict[str, Any]:
        """Return all that two sides of a score must have in common."""
        return {
            "projector": self.projector.identity(),
            "model": model_sha256,
            "timesteps": {
                "kind": self.options.timesteps,
                "n_timesteps": self.options.n_timesteps,
                "draws": self.options.draws,
            },
            "noise": self.options.noise,
            "seed": self.seed,
        }

    def features(
        self,
        images: Float32[np.ndarray, "image channel height width"],
        ids: Int64[np.ndarray, " image"],
        split: str,
        *,
        batch_size: int = 128,
    ) -> dict[str, Float32[np.ndarray, "image k"]]:
        """Return the features of every image, by output function.

        Noise is keyed by (timestep, draw) and, unless it is common, by (split, image);
        `batch_size`, the number of timesteps that share a forward pass, changes rounding only.
        """
        names = self.options.output_functions
        stream = rng.Stream(self.seed, "features", *([] if self.common else [split]))
        gathered: dict[str, list[Tensor]] = {name: [] for name in names}
        projected: dict[str, list[Tensor]] = {name: [] for name in names}
        progress = tqdm(range(len(images)), desc=f"features {split}", unit="image", mininterval=10)
        for number in progress:
            image_id = 0 if self.common else int(ids[number])
            gradients = self._gradients(images[number], image_id, stream, batch_size)
            for name, gradient in gradients.items():
                gathered[name].append(gradient)
            if len(gathered[names[0]]) == self.projector.rows or number == len(images) - 1:
                for name in names:
                    projected[name].append(self.projector(torch.stack(gathered[name])).cpu())
                    gathered[name].clear()
        return {name: torch.cat(projected[name]).numpy() for name in names}

    def _gradients(
        self,
        image: Float32[np.ndarray, "channel height width"],
        image_id: int,
        stream: rng.Stream,
        batch_size: int,
    ) -> dict[str, Float32[Tensor, " param"]]:
        """Return the gradient of the mean over timesteps and draws, by output function."""
        names, n = self.options.output_functions, len(self.timesteps)
        source = torch.from_numpy(image)
        sums: dict[str, list[Tensor]] = {}
        for start in range(0, n, batch_size):
            timesteps = self.timesteps[start : start + batch_size]
            draws = self.draws[start : start + batch_size]
            noise = stacked_noise(
                stream, [image_id] * len(timesteps), timesteps, draws, image.shape
            )
            t = torch.tensor(timesteps)
            x = noised(source.expand_as(noise), noise, self.abar[t]).to(self.device)
            prediction = predict(self.network, x, t.to(self.device))
            noise = noise.to(self.device)
            for name in names:
                mean = OUTPUT_FUNCTIONS[name](prediction, noise).sum() / n
                gradients = torch.autograd.grad(
                    mean, self.parameters, retain_graph=name != names[-1]
                )
                if name in sums:
                    for total, gradient in zip(sums[name], gradients, strict=True):
                        total.add_(gradient)
                else:
                    sums[name] = list(gradients)
        return {name: torch.cat([g.flatten() for g in sums[name]]) for name in names}


def batch_invariance(
    gradient_pass: GradientPass,
    images: Float32[np.ndarray, "image channel height width"],
    ids: Int64[np.ndarray, " image"],
    split: str,
    stored: Mapping[str, Float32[np.ndarray, "image k"]],
    n_images: int = 4,
) -> dict[str, Any]:
    """Return how far features move when batches and order are changed.

    The first images are taken again in reverse order with 7 timesteps per batch; the relative
    error is |again - stored| / |stored|, the largest over images.
    """
    n_images = min(n_images, len(images))
    order = np.arange(n_images)[::-1]
    again = gradient_pass.features(images[order], ids[order], split, batch_size=7)
    errors = {}
    for name, rows in stored.items():
        difference = np.linalg.norm(again[name][order] - rows[:n_images], axis=1)
        errors[name] = float((difference / np.linalg.norm(rows[:n_images], axis=1)).max())
    return {"n_images": n_images, "largest_relative_error": errors}
