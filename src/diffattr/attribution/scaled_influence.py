"""Influence divided by the length of the training image's part.

    relative       phi(x)' H^-1 phi_n / |H^-1 phi_n|
    renormalised   phi(x)' H^-1 phi_n / |phi_n|          H = Phi' Phi + ridge I

Both keep outliers with long gradients from being proponents of every query.
Sources: Barshan et al., "RelatIF" (AISTATS 2020); Hammoudeh and Lowd, "Identifying a training-set
attack's target using renormalized influence estimation" (CCS 2022); for diffusion models, Zheng et
al. (ICLR 2024).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from diffattr.attribution.base import KernelMethod
from diffattr.attribution.kernel import TrainSide, TrainWeights


@dataclass(frozen=True, kw_only=True)
class RelativeInfluence(KernelMethod):
    """1 / |H^-1 phi_n|."""

    def train_weights(self, train: TrainSide, ridge: float) -> TrainWeights:
        """Return the inverse length of the training image's effect on the network's weights."""
        return _inverse(train.solved_lengths(ridge))


@dataclass(frozen=True, kw_only=True)
class RenormalisedInfluence(KernelMethod):
    """1 / |phi_n|."""

    def train_weights(self, train: TrainSide, ridge: float) -> TrainWeights:  # noqa: ARG002
        """Return the inverse length of the training image's feature."""
        return _inverse(train.lengths())


def _inverse(lengths: Float64[np.ndarray, " train"]) -> TrainWeights:
    """Return 1 / length, 0 for a feature of zero, which has no direction.

    In the dual form, the length of a zero feature is up to the root of the rounding error.
    """
    is_zero = lengths <= 1e-7 * lengths.max()
    return np.divide(1.0, lengths, out=np.zeros_like(lengths), where=~is_zero)
