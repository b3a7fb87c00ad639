"""Influence functions with the EK-FAC of the model GGN.

    tau(x, n) = g(x)' (EK-FAC + ridge I)^-1 g_n = sum_i q_i n_i / (eigenvalue_i + ridge)

with the gradients' coordinates q, n in the EK-FAC's eigenbasis (`diffattr.features.curvature`),
over all parameters of linear and convolutional layers. Unlike TRAK's kernel, the curvature is a
property of the model and not estimated from the gradients that it is applied to, so the published
method needs no lambda: its ridge (damping) is 1e-8 for any data. `ekfac-swept` selects it from the
lambda path instead, relative to the mean eigenvalue, like other kernel methods.
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
    """Influence at a damping that is selected by LDS, like the lambda of other methods."""

    curvature: bool = True
