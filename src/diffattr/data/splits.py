"""From a data set to the training set and the real queries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from diffattr import rng
from diffattr.config import Data, Queries
from diffattr.data import image_folder
from diffattr.data.source import DataError, Source, UnreadableError, refuse_or_skip
from diffattr.data.subsets import D_TRAK_SPLIT_STATE, sample

_CHUNK = 128
"""Images decoded at a time; 100 MB at 256x256 pixels."""


@dataclass(frozen=True)
class ImageSplit:
    """The images of one split, read on demand.

    `positions` are positions in the data set; they also key the noise of each image.
    """

    positions: Int64[np.ndarray, " image"]
    source: Source
    resolution: int

    @property
    def labels(self) -> Int64[np.ndarray, " image"]:
        """The class numbers."""
        return self.source.labels[self.positions]

    def chunks(self) -> Iterator[Float32[np.ndarray, "some channel height width"]]:
        """Yield the images in [-1, 1], in chunks."""
        for positions in _chunks(self.positions):
            yield 2 * self.source.read(positions, self.resolution) - 1

    @property
    def names(self) -> list[str]:
        """Readable names of the images."""
        return [self.source.name(position) for position in self.positions.tolist()]


def split(
    source: Source, data: Data, seed: int, queries: Queries | None = None
) -> dict[str, ImageSplit]:
    """Return `train` and, unless they are empty, `val` and `planted`.

    Train and val are stratified by class, in ascending order of positions; with data.split d-trak
    they are those of D-TRAK's published code, in its order, whatever the seed. Planted images are
    training images that are queries too. With `queries`, val is their folder.

    Raises:
        DataError: a class does not exist, there are too few images, or some cannot be used.
    """
    source = _of_classes(source, data.classes)
    if data.unreadable == "skip":
        source = _readable(source, data)
    val = (
        source.val_pool[:0]
        if queries is not None
        else _drawn(source.val_pool, source, data, seed, "n_val")
    )
    train = _drawn(np.setdiff1d(source.train_pool, val), source, data, seed, "n_train")
    refuse_or_skip(_problems(source, np.union1d(train, val), data.resolution), data)
    planted = rng.generator(seed, "split", "planted").choice(train, data.n_planted, replace=False)
    positions = {"train": train, "val": val, "planted": np.sort(planted)}
    splits = {
        name: ImageSplit(chosen, source, data.resolution)
        for name, chosen in positions.items()
        if len(chosen)
    }
    if queries is not None:
        splits["val"] = _in_folder(queries, splits["train"], data)
    return splits


def _in_folder(queries: Queries, train: ImageSplit, data: Data) -> ImageSplit:
    """Return the images of a folder of queries, in the order of their names.

    Sub-folders name classes of the training images; without sub-folders the class is -1.
    """
    found = _readable(image_folder.in_folder(Path(queries.folder), data), data)
    chosen = found.train_pool
    if len(chosen) != queries.n_images:
        raise DataError(
            f"queries.n_images: found {queries.n_images}, but {queries.folder} holds"
            f" {len(chosen)} usable images; set queries.n_images: {len(chosen)}"
        )
    names = [found.name(position) for position in chosen.tolist()]
    numbers = {name: label for label, name in enumerate(train.source.class_names)}
    is_flat = any("/" not in name for name in names)
    unknown = sorted(set(found.class_names) - set(numbers))
    if is_flat or len(unknown) == len(found.class_names):
        numbers = dict.fromkeys(found.class_names, -1)
    elif unknown:
        raise DataError(
            f"{queries.folder}: has images of class {unknown[0]}; the classes of the training"
            f" images are {', '.join(numbers)}"
        )
    labels = np.array([numbers[name] for name in found.class_names])[found.labels]
    val = ImageSplit(chosen, replace(found, labels=labels), data.resolution)
    expected, n_channels = (
        split.source.read(split.positions[:1], data.resolution).shape[1] for split in (train, val)
    )
    if n_channels != expected:
        raise DataError(
            f"{queries.folder}: holds images of {n_channels} channels, training images have"
            f" {expected}; convert them"
        )
    return val


def _of_classes(source: Source, classes: tuple[int | str, ...] | None) -> Source:
    """Return a source whose pools hold only images of the wanted classes."""
    if classes is None:
        return source
    existing = {int(label): source.class_names[label] for label in np.unique(source.labels)}
    wanted = class_labels("data.classes", classes, existing)
    is_wanted = np.isin(source.labels, wanted)
    return replace(
        source,
        train_pool=source.train_pool[is_wanted[source.train_pool]],
        val_pool=source.val_pool[is_wanted[source.val_pool]],
    )


def class_labels(key: str, classes: Sequence[int | str], names: Mapping[int, str]) -> list[int]:
    """Return the labels of classes that are given by name or label.

    Raises:
        DataError: `names`, by label, has no such class; the message starts with the config `key`.
    """
    numbers = {name: label for label, name in names.items()}
    for wanted in classes:
        if wanted not in names and wanted not in numbers:
            known = ", ".join(f"{label} ({name})" for label, name in names.items())
            raise DataError(f"{key}: class {wanted} does not exist; expected one of {known}")
    return [label if isinstance(label, int) else numbers[label] for label in classes]


def _readable(source: Source, data: Data) -> Source:
    """Return a source whose pools hold only usable images, after reading every image."""
    everything = np.union1d(source.train_pool, source.val_pool)
    problems = _problems(source, everything, data.resolution)
    refuse_or_skip(problems, data)
    bad = np.array(sorted(problems), np.int64)
    return replace(
        source,
        train_pool=np.setdiff1d(source.train_pool, bad),
        val_pool=np.setdiff1d(source.val_pool, bad),
    )


def _problems(
    source: Source, positions: Int64[np.ndarray, " image"], resolution: int
) -> dict[int, str]:
    """Return the problem of each unusable image, by position."""
    problems = {}
    for chunk in _chunks(positions):
        try:
            source.read(chunk, resolution)
        except UnreadableError as error:
            problems |= error.problems
    return problems


def _drawn(
    pool: Int64[np.ndarray, " image"], source: Source, data: Data, seed: int, key: str
) -> Int64[np.ndarray, " chosen"]:
    n = getattr(data, key)
    if n > len(pool):
        raise DataError(f"data.{key}: found {n}, but only {len(pool)} images are available")
    if n in (0, len(pool)):
        return pool[:n]
    like_d_trak = data.split == "d-trak"
    state = D_TRAK_SPLIT_STATE if like_d_trak else rng.integer_seed(seed, "split", key)
    return sample(pool, source.labels[pool], n, state, key, like_d_trak)


def _chunks(positions: Int64[np.ndarray, " image"]) -> Iterator[Int64[np.ndarray, " some"]]:
    for start in range(0, len(positions), _CHUNK):
        yield positions[start : start + _CHUNK]
