"""The U-Net's representation of an image: the activations of its middle block.

    e(x) = mean over (t) of mid(x_t, t),   flattened

with the same noise for every image, and the empty caption for networks conditioned on captions.
Nothing is downloaded, and unlike pixels it is learnt from the training set. Source: Kwon et al.,
"Diffusion models already have a semantic latent space" (ICLR 2023), who find semantics in a U-Net's
bottleneck.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from diffattr import rng
from diffattr.config import ConfigError, NoiseSchedule
from diffattr.diffusion.models import predict, slices
from diffattr.diffusion.noising import alphas_cumprod, noised, stacked_noise, strata_midpoints
from diffattr.features.embeddings import Bottleneck


class BottleneckEmbedding:
    """Activations of the middle block, averaged over timesteps.

    Raises:
        ConfigError: the network has no middle block.
    """

    def __init__(
        self,
        options: Bottleneck,
        *,
        network: torch.nn.Module,
        schedule: NoiseSchedule,
        seed: int,
        batch_size: int,
        device: str,
    ):
        self._network = network.eval().to(device)
        middle = getattr(network, "mid_block", None)
        if not isinstance(middle, torch.nn.Module):
            raise ConfigError(
                f"kind: embedding bottleneck needs a network with a middle block, found"
                f" {type(network).__name__} without one; use another embedding"
            )
        self._middle, self._device, self._batch_size = middle, device, batch_size
        self._timesteps = strata_midpoints(options.n_timesteps, schedule.n_timesteps).tolist()
        self._abar = alphas_cumprod(schedule)
        self._stream = rng.Stream(seed, "embedding")

    @torch.inference_mode()
    def __call__(
        self, images: Float32[np.ndarray, "image channel height width"]
    ) -> Float32[np.ndarray, "image dim"]:
        """Return the mean activations."""
        seen: list[Any] = []
        embedded = []
        with self._middle.register_forward_hook(lambda _, __, output: seen.append(output)):
            for chosen in slices(len(images), self._batch_size, "embed"):
                batch = torch.from_numpy(images[chosen])
                total = torch.zeros(())
                for timestep in self._timesteps:
                    noise = stacked_noise(self._stream, [(0, timestep, 0)], images.shape[1:])
                    abar = self._abar[timestep].expand(len(batch))
                    x = noised(batch, noise.expand_as(batch), abar).to(self._device)
                    t = torch.full((len(batch),), timestep).to(self._device)
                    empty = torch.full_like(t, -1) if hasattr(self._network, "captions") else None
                    predict(self._network, x, t, empty)
                    total = total + seen.pop().flatten(1).cpu()
                embedded.append((total / len(self._timesteps)).numpy())
        return np.concatenate(embedded)
