"""Data sets that fit into one array."""

import numpy as np
from jaxtyping import Float32, Int64

from diffattr.data.source import DataError, Images, Source


def in_memory(
    images: Images,
    labels: Int64[np.ndarray, " image"],
    class_names: tuple[str, ...],
    first_test: int | None = None,
) -> Source:
    """Return the data set of images in [0, 1].

    Images from position `first_test` on are the data set's test set, which only queries may come
    from; None makes the data set one pool.

    Raises:
        DataError: there is no image, or a value is not finite or outside [0, 1].
    """
    if len(images):
        _check(images)
    everything = np.arange(len(images))
    return Source(
        labels,
        class_names,
        train_pool=everything[:first_test],
        val_pool=everything[first_test or 0 :],
        read=lambda positions, resolution: _resized(images[positions], resolution),
    )


def _check(images: Images) -> None:
    bad = ~np.isfinite(images).all(axis=(1, 2, 3))
    if bad.any():
        raise DataError(
            f"{bad.sum()} images hold NaN or infinite values (first: position"
            f" {np.flatnonzero(bad)[0]}); repair or remove them"
        )
    if images.min() < 0 or images.max() > 1:
        raise DataError(
            f"pixel values lie in [{images.min():g}, {images.max():g}], expected [0, 1]"
        )


def _resized(
    images: Images, resolution: int
) -> Float32[np.ndarray, "image channel resolution resolution"]:
    """Return the centre square, scaled bilinearly with antialiasing."""
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, :, top : top + side, left : left + side]
    if side == resolution:
        return square
    import torch

    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(square.copy()),
        size=(resolution, resolution),
        mode="bilinear",
        antialias=True,
    )
    return scaled.clamp(0, 1).numpy()
