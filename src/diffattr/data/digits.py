"""The 1797 handwritten 8x8 digits inside scikit-learn: real data, ten classes, no download.

Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI (1998).
"""

from typing import Any

import numpy as np

from diffattr.config import Data
from diffattr.data.in_memory import in_memory
from diffattr.data.source import DataError, Source

NAMES = tuple("0123456789")


def load(data: Data) -> Source:
    """Return all 1797 images, 1x8x8, as one pool.

    Raises:
        DataError: data.folder or data.hub is set.
    """
    for key in ("folder", "hub"):
        if value := getattr(data, key):
            raise DataError(f"digits come with scikit-learn: remove data.{key} ({value!r})")
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    images = (digits.images[:, None] / 16.0).astype(np.float32)
    return in_memory(images, digits.target.astype(np.int64), NAMES)
