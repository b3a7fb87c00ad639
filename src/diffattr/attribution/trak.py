"""TRAK, and D-TRAK, which is the same formula on another output function.

    tau(x, n) = phi(x)' (Phi' Phi + ridge I)^-1 phi_n

Sources: Park et al., "TRAK: Attributing model behavior at scale" (ICML 2023), with the identity in
place of the output factor Q; Zheng et al., "Intriguing properties of data attribution on diffusion
models" (ICLR 2024), for D-TRAK's mean squared prediction in place of the loss.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from diffattr.attribution.base import Reads
from diffattr.attribution.kernel import Kernel


@dataclass(frozen=True)
class Trak:
    """The kernel as it stands; queries and training images share the output function."""

    output_function: str
    reads: Reads = "features"

    def train_weights(
        self,
        kernel: Kernel,  # noqa: ARG002
        train_factor: Float64[np.ndarray, "train rank"],
        ridge: float,  # noqa: ARG002
    ) -> Float64[np.ndarray, " train"]:
        """Return ones."""
        return np.ones(len(train_factor))
