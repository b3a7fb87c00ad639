"""Any data set of images on the Hugging Face hub, or in a folder that `datasets` reads.

Positions count in its part `train`, then in its part `test` or `validation` if there is one.
"""

from typing import Any

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.arrow import from_hub, opener, undecoded
from diffattr.data.pictures import reader
from diffattr.data.source import DataError, Source

DOWNLOADS = "data.hub is fetched by the library datasets when it is first read"


def load(data: Data) -> Source:
    """Return the data set `data.hub`, its images in colour.

    Raises:
        DataError: it cannot be had, or it is not clear which of its columns holds the images.
    """
    if not data.hub or data.folder is not None:
        raise DataError("data.hub is missing, or stands beside data.folder: name it alone")
    name, parts = data.hub, from_hub(data.hub)
    if "train" not in parts:
        raise DataError(f"data.hub: {name} has no part train; it has {', '.join(parts)}")
    further = [part for part in ("test", "validation") if part in parts][:1]
    image, label = _columns(name, parts["train"].features)
    chosen = [parts[part] for part in ("train", *further)]
    columns = [undecoded(part, image).column(image) for part in chosen]
    n_train, n = len(chosen[0]), sum(map(len, chosen))
    names, labels = ("all",), np.zeros(n, np.int64)
    if label is not None:
        names = tuple(parts["train"].features[label].names)
        labels = np.concatenate([np.asarray(part[label], np.int64) for part in chosen])
    opened = opener(columns, name)

    def checked(position: int) -> Image.Image:
        found = opened(position)
        if min(found.size) < data.resolution:
            raise ValueError(f"is {found.width}x{found.height} pixels, less than data.resolution")
        return found

    return Source(
        labels,
        names,
        train_pool=np.arange(n_train),
        val_pool=np.arange(n_train, n) if further else np.arange(n_train),
        read=reader(checked, lambda position: f"{name}: row {position}"),
    )


def _columns(name: str, features: Any) -> tuple[str, str | None]:
    """Return the column of images and that of classes, if any."""
    import datasets

    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if len(images) != 1:
        raise DataError(
            f"data.hub: {name} has {len(images)} columns of images"
            f" ({', '.join(features)} in all), one is expected"
        )
    return images[0], classes[0] if len(classes) == 1 else None
