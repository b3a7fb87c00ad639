"""The diffusion attribution score (DAS), linear form.

    tau(x, n) = phi(x)' (Phi' Phi + ridge I)^-1 phi_n * r_n / (1 - h_n)

on the gradient of the mean prediction, each timestep's gradient scaled to length 1. r_n is the
training image's residual: the roots of its losses, scaled to length 1 over timesteps, then averaged
over timesteps; h_n is its leverage.
The paper squares this score, which loses its sign; the report's audit of score powers shows the
effect of squaring for every method.
Source: Lin et al., "Diffusion attribution score" (ICLR 2025), eq. 13 without the square; the
released code's `DAS1` leaves out the leverage (option `leverage: false`).
"""

from dataclasses import dataclass, field

import numpy as np

from diffattr.attribution.base import OPTION, KernelMethod
from diffattr.attribution.kernel import TrainSide, TrainWeights


@dataclass(frozen=True, kw_only=True)
class Das(KernelMethod):
    """r_n / (1 - h_n); without `leverage`, r_n."""

    leverage: bool = field(default=True, metadata=OPTION)
    output_function: str | None = "mean"
    unit_gradients: bool = True
    reads_losses: bool = True

    def train_weights(self, train: TrainSide, ridge: float) -> TrainWeights:
        """Return the residual, over one minus the leverage."""
        assert train.losses is not None
        roots = np.sqrt(train.losses.astype(np.float64))
        lengths = np.linalg.norm(roots, axis=1, keepdims=True)
        residuals = (roots / np.where(lengths == 0, 1, lengths)).mean(axis=1)
        return residuals / (1 - train.leverages(ridge)) if self.leverage else residuals
