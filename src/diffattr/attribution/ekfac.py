"""Influence functions with the EK-FAC of the model GGN.

    tau(x, n) = g(x)' (EK-FAC + ridge I)^-1 g_n = sum_i q_i n_i / (eigenvalue_i + ridge)

with the gradients' coordinates q, n in the EK-FAC's eigenbasis (`diffattr.features.curvature`),
over all parameters of linear and convolutional layers. Unlike TRAK's kernel, the curvature is that
of the model and not estimated from the gradients that it is applied to, so the published method
needs no lambda: its ridge (damping) is 1e-8, whatever the data. The swept one takes it from the
path instead, relative to the mean eigenvalue, as other kernel methods do.
Source: Mlodozeniec et al., "Influence functions for scalable data attribution in diffusion models"
(ICLR 2025).
"""

from dataclasses import dataclass, field

from diffattr.attribution.base import OPTION, KernelMethod


@dataclass(frozen=True, kw_only=True)
class EkFacInfluence(KernelMethod):
    """Influence at the published damping."""

    damping: float = field(default=1e-8, metadata=OPTION)
    curvature: bool = True

    def __post_init__(self):
        if self.damping <= 0:
            raise ValueError(f"damping: found {self.damping}, allowed: more than 0")

    @property
    def fixed_ridge(self) -> float | None:
        """The damping."""
        return self.damping


@dataclass(frozen=True, kw_only=True)
class SweptEkFacInfluence(KernelMethod):
    """Influence at a damping that is chosen on LDS, as lambda of other methods."""

    curvature: bool = True
