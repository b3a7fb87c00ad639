"""TRAK and D-TRAK: one formula, two output functions.

    tau(x, n) = phi(x)' (Phi' Phi + ridge I)^-1 phi_n

Sources: Park et al., "TRAK: Attributing model behavior at scale" (ICML 2023), with the identity in
place of the output factor Q; Zheng et al., "Intriguing properties of data attribution on diffusion
models" (ICLR 2024) for the output function of D-TRAK.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from diffattr.attribution.base import Reads
from diffattr.attribution.kernel import Kernel


@dataclass(frozen=True)
class Trak:
    """The kernel as it stands, on gradients of the loss."""

    reads: ClassVar[Reads] = "features"
    output_function: ClassVar[str] = "loss"

    def train_weights(
        self,
        kernel: Kernel,  # noqa: ARG002
        train_factor: Float64[np.ndarray, "train rank"],
        ridge: float,  # noqa: ARG002
    ) -> Float64[np.ndarray, " train"]:
        """Return ones."""
        return np.ones(len(train_factor))


@dataclass(frozen=True)
class DTrak(Trak):
    """TRAK on gradients of the mean squared prediction, for queries and training images alike."""

    output_function: ClassVar[str] = "mean-squared-l2-norm"
