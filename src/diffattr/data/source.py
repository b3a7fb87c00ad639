"""A data set before any image is drawn from it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from diffattr.config import Data

Images = Float32[np.ndarray, "image channel height width"]
Read = Callable[[Int64[np.ndarray, " chosen"], int], Images]


class DataError(ValueError):
    """The data are missing, damaged, or too few for the config."""


class UnreadableError(DataError):
    """Some images cannot be used; `problems` maps positions to the file and the reason."""

    def __init__(self, problems: Mapping[int, str]):
        self.problems = dict(problems)
        first = "; ".join(list(self.problems.values())[:3])
        more = "; ..." if len(self.problems) > 3 else ""
        images = "1 image" if len(self.problems) == 1 else f"{len(self.problems)} images"
        super().__init__(
            f"{images} cannot be used ({first}{more}); repair or replace them, or set"
            " data.unreadable: skip"
        )


def refuse_or_skip(problems: Mapping[int, str], data: Data) -> None:
    """Raise an `UnreadableError` if there are problems, or log them if data.unreadable is skip."""
    if problems and data.unreadable != "skip":
        raise UnreadableError(problems)
    if problems:
        logging.getLogger(__name__).warning("skipped: %s", "; ".join(problems.values()))


@dataclass(frozen=True)
class Source:
    """All images of a data set, read on demand; positions identify them.

    Attributes:
        labels: the class of each position, as an index into `class_names`.
        class_names: the names of the classes.
        train_pool: ascending positions that training images may come from.
        val_pool: ascending positions that real queries may come from; equal to `train_pool` if the
            data set is one pool.
        read: returns the images at some positions, in that order, in [0, 1] and square, at a
            resolution. Raises an `UnreadableError` with every one of them that cannot be used.
        name: returns a readable name of the image at a position.
    """

    labels: Int64[np.ndarray, " image"]
    class_names: tuple[str, ...]
    train_pool: Int64[np.ndarray, " train"]
    val_pool: Int64[np.ndarray, " val"]
    read: Read
    name: Callable[[int], str] = str

    def __post_init__(self):
        if not len(self.labels):
            raise DataError("the data set holds no image")


@dataclass(frozen=True)
class Download:
    """A file that `snakemake fetch` can download; a .tar.gz archive is unpacked beside it."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class DataSet:
    """An entry of the registry of data sets.

    Attributes:
        load: returns the data set of a config.
        downloads: files to download, or a sentence about what to download from where.
        is_folder: whether every file below data.folder is one of its images.
    """

    load: Callable[[Data], Source]
    downloads: tuple[Download, ...] | str
    is_folder: bool = False
