"""Any data set of images on the Hugging Face hub, or in a folder that `datasets` reads.

Positions count in its part `train`, then in its part `test` or `validation` if there is one.
"""

from typing import Any

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.arrow import from_hub, opener, undecoded
from diffattr.data.pictures import is_grey_and_usable, reader
from diffattr.data.source import DataError, Source

DOWNLOADS = "data.hub is fetched by the library datasets when it is first read"


def load(data: Data) -> Source:
    """Return the data set `data.hub`; its images are grey if the first one is.

    Raises:
        DataError: data.hub is missing or stands beside data.folder, the data set cannot be
            downloaded, has no part `train` or no images in it, or its columns or labels are not
            clear.
    """
    if not data.hub or data.folder is not None:
        raise DataError("data.hub is missing, or stands beside data.folder: name it alone")
    name, parts = data.hub, from_hub(data.hub)
    if "train" not in parts:
        raise DataError(f"data.hub: {name} has no part train; it has {', '.join(parts)}")
    further = [part for part in ("test", "validation") if part in parts][:1]
    image, label = _columns(name, parts["train"].features)
    chosen = [parts[part] for part in ("train", *further)]
    if any(part.features != chosen[0].features for part in chosen):
        raise DataError(f"data.hub: {name} has other columns in {further[0]} than in train")
    columns = [undecoded(part, image).column(image) for part in chosen]
    n_train, n = len(chosen[0]), sum(map(len, chosen))
    if not n_train:
        raise DataError(f"data.hub: {name} holds no image in its part train")
    names, labels = ("all",), np.zeros(n, np.int64)
    if label is not None:
        names = tuple(parts["train"].features[label].names)
        found = [number for part in chosen for number in part[label]]
        if not all(isinstance(number, int) and 0 <= number < len(names) for number in found):
            raise DataError(f"data.hub: {name} has images without a class in its column {label}")
        labels = np.array(found, np.int64)
    opened = opener(columns, name)
    with opened(0) as first:
        all_grey = first.mode in ("1", "L")

    def checked(position: int) -> Image.Image:
        found = opened(position)
        if is_grey_and_usable(found, data.resolution) != all_grey:
            words = "in colour among grey" if all_grey else "grey among coloured"
            raise ValueError(f"is {words} images")
        return found

    return Source(
        labels,
        names,
        train_pool=np.arange(n_train),
        val_pool=np.arange(n_train, n) if further else np.arange(n_train),
        read=reader(
            checked,
            lambda position: f"{name}: row {position}",
            mode="L" if all_grey else "RGB",
        ),
    )


def _columns(name: str, features: Any) -> tuple[str, str | None]:
    """Return the column of images and that of classes, if any."""
    import datasets

    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    for kind, found in (("images", images), ("classes", classes)):
        if len(found) > 1:
            raise DataError(
                f"data.hub: {name} has {len(found)} columns of {kind} ({', '.join(found)}), at most"
                " one is expected"
            )
    if not images:
        raise DataError(f"data.hub: {name} has no column of images, only {', '.join(features)}")
    return images[0], classes[0] if classes else None
