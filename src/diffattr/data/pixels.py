"""Images as 8-bit pixels."""

import numpy as np
from jaxtyping import Float, UInt8


def eight_bit(
    images: Float[np.ndarray, "*batch channel height width"]
    | UInt8[np.ndarray, "*batch channel height width"],
) -> UInt8[np.ndarray, "*batch channel height width"]:
    """Return images in [-1, 1] as numbers from 0 to 255; those that are 8-bit stay as they are."""
    if images.dtype == np.uint8:
        return images
    return ((images.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
