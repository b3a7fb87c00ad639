"""What a data set gives, before any choice is made."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from diffattr.config import Data

Images = Float32[np.ndarray, "image channel height width"]


class DataError(ValueError):
    """The data are missing, damaged, or not enough for what the config asks."""


class UnreadableError(DataError):
    """Some images cannot be used; `problems` says which file and why, by position."""

    def __init__(self, problems: Mapping[int, str]):
        self.problems = dict(problems)
        first = "; ".join(list(self.problems.values())[:3])
        more = "; ..." if len(self.problems) > 3 else ""
        images = "1 image" if len(self.problems) == 1 else f"{len(self.problems)} images"
        super().__init__(
            f"{images} cannot be used ({first}{more}): repair or replace what is wrong, or leave it"
            " out by data.unreadable: skip"
        )


def refuse_or_skip(problems: Mapping[int, str], data: Data) -> None:
    """Refuse what cannot be used, or say in the log that data.unreadable leaves it out.

    Raises:
        UnreadableError: there is some, and it is not to be left out.
    """
    if problems and data.unreadable != "skip":
        raise UnreadableError(problems)
    if problems:
        logging.getLogger(__name__).warning("left out: %s", "; ".join(problems.values()))


@dataclass(frozen=True)
class Source:
    """All images of a data set, none of which is read yet.

    An image is named by its position. `labels` are those of all positions, and numbers of
    `class_names`. `train_pool` and `val_pool` are the ascending positions that training images and
    real queries may come from: the same where the data set is one pool. `read` returns the images
    at some positions, in that order, in [0, 1] and as squares of a resolution; it raises an
    `UnreadableError` that names every one of them that cannot be used. `name` is what people call
    the image at a position.
    """

    labels: Int64[np.ndarray, " image"]
    class_names: tuple[str, ...]
    train_pool: Int64[np.ndarray, " train"]
    val_pool: Int64[np.ndarray, " val"]
    read: Callable[[Int64[np.ndarray, " chosen"], int], Images]
    name: Callable[[int], str] = str

    def __post_init__(self):
        if not len(self.labels):
            raise DataError("the data set holds no image")


@dataclass(frozen=True)
class Download:
    """A file that `snakemake fetch` can get; a .tar.gz archive is unpacked where it lies."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class DataSet:
    """How a data set is read, and what can be fetched of it.

    `downloads` are its files, or a sentence that says what to get from where. `is_folder` says that
    every file below data.folder is one of its images.
    """

    load: Callable[[Data], Source]
    downloads: tuple[Download, ...] | str
    is_folder: bool = False
