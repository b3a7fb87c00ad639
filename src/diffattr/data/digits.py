"""The 1797 handwritten 8x8 digits inside scikit-learn: real data, ten classes, no download.

Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI (1998).
"""

from typing import Any

import numpy as np

from diffattr.data.source import DataError, Source


def load(folder: str | None) -> Source:
    """Return all 1797 images, 1x8x8; one pool."""
    if folder is not None:
        raise DataError(f"digits come with scikit-learn: remove data.folder ({folder!r})")
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    images = (digits.images[:, None] / 16.0).astype(np.float32)
    return Source(images, digits.target.astype(np.int64))
