"""First-order similarity of gradients at the final weights.

Sources: Charpiat et al., "Input similarity from the neural network perspective" (NeurIPS 2019);
for diffusion models, the baselines of Zheng et al. (ICLR 2024).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64

from diffattr.attribution import similarity
from diffattr.attribution.base import Reads


@dataclass(frozen=True)
class GradientDot:
    """Inner product of features: one training step's first-order effect, times a constant."""

    reads: ClassVar[Reads] = "features"

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return phi' phi_n."""
        return similarity.dot(train, queries)


@dataclass(frozen=True)
class GradientCosine:
    """Cosine of features: the gradient's length, which outliers dominate, is left out."""

    reads: ClassVar[Reads] = "features"

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return phi' phi_n / (|phi| |phi_n|)."""
        return similarity.cosine(train, queries)
