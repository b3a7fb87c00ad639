"""A folder of one's own images, of any size that is not below the resolution."""

from pathlib import Path

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.pictures import folder_of, is_grey_and_usable, listed, reader, reason
from diffattr.data.source import DataError, Source, refuse_or_skip

DOWNLOADS = "these images are your own: put them into data.folder"


def load(data: Data) -> Source:
    """Return all images as one pool; a position is the place in the sorted list of their files.

    Where all lie in sub-folders, the names of those are the classes. They are grey where most of
    them are, in colour otherwise.

    Raises:
        UnreadableError: files are no images, or images that cannot stand beside the others, unless
            data.unreadable says skip.
        DataError: data.folder is missing, or holds no image that can be used.
    """
    return in_folder(folder_of(data, "your images"), data)


def n_files(folder: str | Path) -> int:
    """Return the number of files below a folder that `load` takes for images."""
    return len(listed(Path(folder)))


def in_folder(folder: Path, data: Data) -> Source:
    """Return the images of a folder, for the resolution of `data`, as `load` does.

    Raises:
        UnreadableError: as `load`.
        DataError: no image can be used.
    """
    files = listed(folder)
    is_grey: dict[Path, bool] = {}
    problems: dict[int, str] = {}
    for position, file in enumerate(files):
        try:
            with Image.open(file) as image:
                is_grey[file] = is_grey_and_usable(image, data.resolution)
        # A file may be anything, and PIL raises nearly anything on a bad one.
        except Exception as error:
            problems[position] = f"{file}: {reason(error)}"
    all_grey = 2 * sum(is_grey.values()) > len(is_grey)
    for position, file in enumerate(files):
        if file in is_grey and is_grey[file] != all_grey:
            words = "in colour among grey" if all_grey else "grey among coloured"
            problems[position] = f"{file}: is {words} images"
    refuse_or_skip(problems, data)
    usable = [file for position, file in enumerate(files) if position not in problems]
    if not usable:
        raise DataError(f"{folder}: holds no image that can be used")
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
        read=reader(
            lambda position: Image.open(usable[position]),
            lambda position: str(usable[position]),
            mode="L" if all_grey else "RGB",
        ),
        name=lambda position: usable[position].relative_to(folder).as_posix(),
    )
