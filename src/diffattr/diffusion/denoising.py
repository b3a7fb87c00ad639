"""The prediction of a network on noised images, and the loss that it is trained with.

Only tensor methods are used, so that registries can be read without loading torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Denoising:
    """A network's prediction on a batch of noised images; every tensor is float32.

    `prediction` and `noise` are (image, channel, height, width); `elbo_weight` is (image,), the
    weight of each image's timestep in the ELBO.
    """

    prediction: "Tensor"
    noise: "Tensor"
    elbo_weight: "Tensor"


OutputFunction = Callable[[Denoising], "Tensor"]
"""A function that returns one number per image, float32 (image,), from that image alone."""


def loss(denoising: Denoising) -> "Tensor":
    """Return the denoising loss, mean over pixels (L_Simple; the feature of TRAK)."""
    return (denoising.prediction - denoising.noise).square().flatten(1).mean(1)
