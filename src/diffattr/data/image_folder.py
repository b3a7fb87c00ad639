"""A user's folder of images of any size not below the resolution."""

from pathlib import Path

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.image_files import (
    data_folder,
    file_reader,
    is_grey_and_usable,
    mixed_colour,
    reason,
    visible_files,
)
from diffattr.data.source import DataError, Source, refuse_or_skip

DOWNLOADS = "the images are yours: put them into data.folder"


def load(data: Data) -> Source:
    """Return all images as one pool; positions count through the sorted files.

    If all images are in sub-folders, these are the classes. The data set is grey if most images
    are, in colour otherwise.

    Raises:
        UnreadableError: some files are not images, or unlike the others, and data.unreadable is not
            skip.
        DataError: data.folder is missing, or holds no usable image.
    """
    return in_folder(data_folder(data, "your images"), data)


def in_folder(folder: Path, data: Data) -> Source:
    """Return the images of any folder as `load` does; `data.folder` is ignored.

    Raises:
        UnreadableError: as for `load`.
        DataError: there is no usable image.
    """
    files = visible_files(folder)
    is_grey: dict[int, bool] = {}
    problems: dict[int, str] = {}
    for position, file in enumerate(files):
        try:
            with Image.open(file) as image:
                is_grey[position] = is_grey_and_usable(image, data.resolution)
        # A file may hold anything, and PIL raises nearly anything on a bad one.
        except Exception as error:
            problems[position] = f"{file}: {reason(error)}"
    all_grey = 2 * sum(is_grey.values()) > len(is_grey)
    problems |= {
        position: f"{files[position]}: {mixed_colour(all_grey)}"
        for position, grey in is_grey.items()
        if grey != all_grey
    }
    refuse_or_skip(problems, data)
    usable = [file for position, file in enumerate(files) if position not in problems]
    if not usable:
        raise DataError(f"{folder}: holds no usable image")
    below = [file.relative_to(folder).parts for file in usable]
    has_classes = all(len(parts) > 1 for parts in below)
    names, labels = np.unique(
        [parts[0] if has_classes else folder.name for parts in below], return_inverse=True
    )
    everything = np.arange(len(usable))
    return Source(
        labels.astype(np.int64),
        tuple(names.tolist()),
        train_pool=everything,
        val_pool=everything,
        read=file_reader(usable, mode="L" if all_grey else "RGB"),
        name=lambda position: usable[position].relative_to(folder).as_posix(),
    )
