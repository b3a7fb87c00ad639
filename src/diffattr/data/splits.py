"""From a data set to the training set and the real queries."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from diffattr import rng
from diffattr.config import Data
from diffattr.data.source import DataError, Source


@dataclass(frozen=True)
class Split:
    """The images of one split.

    `positions` are positions in the data set; an image's position names it wherever noise is keyed.
    """

    positions: Int64[np.ndarray, " image"]
    images: Float32[np.ndarray, "image channel height width"]
    labels: Int64[np.ndarray, " image"]


def split(source: Source, data: Data, seed: int) -> dict[str, Split]:
    """Return `train`, `val` and `planted`, each in ascending order of positions, in [-1, 1].

    Train and val are stratified by class. Every planted image is drawn from neither val nor the
    other training images, is part of train, and is asked about as a query of its own.

    Raises:
        DataError: a class does not exist, or there are too few images.
    """
    if data.n_planted >= data.n_train:
        raise DataError(f"n_planted ({data.n_planted}) must be below n_train ({data.n_train})")
    pool = _of_classes(source, data.classes)
    if source.first_test is None:
        val = _stratified(pool, source.labels, data.n_val, "n_val", seed)
        pool = np.setdiff1d(pool, val)
    else:
        is_test = pool >= source.first_test
        val = _stratified(pool[is_test], source.labels, data.n_val, "n_val", seed)
        pool = pool[~is_test]
    train = _stratified(pool, source.labels, data.n_train, "n_train", seed)
    planted = rng.generator(seed, "split", "planted").choice(train, data.n_planted, replace=False)
    positions = {"train": train, "val": val, "planted": np.sort(planted)}
    return {
        name: Split(
            chosen,
            2 * _resized(source.images[chosen], data.resolution) - 1,
            source.labels[chosen],
        )
        for name, chosen in positions.items()
    }


def _of_classes(source: Source, classes: tuple[int, ...] | None) -> Int64[np.ndarray, " image"]:
    if classes is None:
        return np.arange(len(source.labels))
    known = np.unique(source.labels)
    for label in classes:
        if label not in known:
            raise DataError(f"data.classes: class {label} does not exist; there are {known}")
    return np.flatnonzero(np.isin(source.labels, classes))


def _stratified(
    pool: Int64[np.ndarray, " image"],
    labels: Int64[np.ndarray, " all"],
    n: int,
    key: str,
    seed: int,
) -> Int64[np.ndarray, " chosen"]:
    if n > len(pool):
        raise DataError(f"data.{key}: {n} images asked for, {len(pool)} are left to draw from")
    if n == len(pool):
        return pool
    return stratified_sample(pool, labels[pool], n, rng.integer_seed(seed, "split", key), key)


def stratified_sample(
    items: Int64[np.ndarray, " item"],
    labels: Int64[np.ndarray, " item"],
    n: int,
    random_state: int,
    key: str,
) -> Int64[np.ndarray, " chosen"]:
    """Return `n` of the items in ascending order, each class in its share.

    Raises:
        DataError: a class is too small to be split.
    """
    from sklearn.model_selection import train_test_split

    try:
        chosen, _ = train_test_split(
            items, train_size=n, stratify=labels, random_state=random_state
        )
    except ValueError as error:
        raise DataError(f"{key}: cannot draw {n} of {len(items)} by class: {error}") from error
    return np.sort(chosen)


def _resized(
    images: Float32[np.ndarray, "image channel height width"], resolution: int
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
