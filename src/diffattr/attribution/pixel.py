"""Raw pixels: the sanity floor that every gradient method has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64

from diffattr.attribution import similarity
from diffattr.attribution.base import Reads


@dataclass(frozen=True)
class PixelDot:
    """Inner product of pixels in [-1, 1]."""

    reads: ClassVar[Reads] = "pixels"

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return x' x_n."""
        return similarity.dot(train, queries)


@dataclass(frozen=True)
class PixelCosine:
    """Cosine of pixels in [-1, 1]."""

    reads: ClassVar[Reads] = "pixels"

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return x' x_n / (|x| |x_n|)."""
        return similarity.cosine(train, queries)
