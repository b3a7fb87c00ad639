"""TRAK, and D-TRAK and Journey TRAK, which apply its formula to other features.

    tau(x, n) = phi(x)' (Phi' Phi + ridge I)^-1 phi_n

Sources: Park et al., "TRAK: Attributing model behavior at scale" (ICML 2023), with the identity in
place of the output factor Q; Zheng et al., "Intriguing properties of data attribution on diffusion
models" (ICLR 2024), for D-TRAK's mean squared prediction in place of the loss; Georgiev et al.,
"The journey, not the destination" (ICML workshop 2023), for Journey TRAK, whose phi(x) is the
gradient along the sampling trajectory of a generated image: at each step the model's estimate of
the clean image is noised to that step's timestep.
"""

from dataclasses import dataclass

from diffattr.attribution.base import KernelMethod


@dataclass(frozen=True, kw_only=True)
class Trak(KernelMethod):
    """The kernel, with equal weights of all training images."""
