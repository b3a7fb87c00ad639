"""Output functions: the scalar whose parameter gradient is the feature.

An output function takes the predicted noise and the noise, both (image, channel, height, width),
and returns one number per image. A new one is one function and one line in the registry. Only
tensor methods are used, so that the registry can be read without loading torch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

OutputFunction = Callable[["Tensor", "Tensor"], "Tensor"]


def loss(prediction: "Tensor", noise: "Tensor") -> "Tensor":
    """Return the denoising loss, mean over pixels (TRAK: Park et al. 2023; L_Simple of DDPM)."""
    return (prediction - noise).square().flatten(1).mean(1)


def mean_squared_l2_norm(prediction: "Tensor", noise: "Tensor") -> "Tensor":  # noqa: ARG001
    """Return the mean square of the prediction (D-TRAK: Zheng et al. 2024, L_Square)."""
    return prediction.square().flatten(1).mean(1)


OUTPUT_FUNCTIONS: dict[str, OutputFunction] = {
    "loss": loss,
    "mean-squared-l2-norm": mean_squared_l2_norm,
}
