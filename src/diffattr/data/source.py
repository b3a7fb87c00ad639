"""What a data set gives: all its images, before any choice is made."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


class DataError(ValueError):
    """The data are missing, damaged, or not enough for what the config asks."""


@dataclass(frozen=True)
class Source:
    """Images in [0, 1] with their class labels.

    `first_test` is the position from which images are a test set of the data set's own, which only
    queries may come from; None where the data set is one pool.
    """

    images: Float32[np.ndarray, "image channel height width"]
    labels: Int64[np.ndarray, " image"]
    first_test: int | None = None

    def __post_init__(self):
        if not len(self.images):
            raise DataError("the data set holds no image")
        bad = ~np.isfinite(self.images).all(axis=(1, 2, 3))
        if bad.any():
            raise DataError(
                f"{bad.sum()} images hold NaN or infinite values (first: position"
                f" {np.flatnonzero(bad)[0]}); repair or remove them"
            )
        if self.images.min() < 0 or self.images.max() > 1:
            raise DataError(
                f"pixel values lie in [{self.images.min():g}, {self.images.max():g}],"
                " expected [0, 1]"
            )
