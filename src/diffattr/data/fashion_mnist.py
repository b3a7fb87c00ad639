"""Fashion-MNIST from its four idx files: 60,000 + 10,000 images, 1x28x28, ten classes.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST" (arXiv 1708.07747). Debian's package
`dataset-fashion-mnist` puts the files into /usr/share/datasets/fashion-mnist.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from diffattr.config import Data
from diffattr.data.image_files import data_folder
from diffattr.data.in_memory import in_memory
from diffattr.data.source import DataError, Download, Source

NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_REPOSITORY = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
DOWNLOADS = tuple(
    Download(f"{_REPOSITORY}/{name}", md5)
    for name, md5 in {
        # MD5 checksums from the data set's README.
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }.items()
)
_UNSIGNED_BYTE = 0x08


def load(data: Data) -> Source:
    """Return all 70,000 images; the last 10,000 are the test set.

    Raises:
        DataError: data.folder or one of its files is missing or damaged, the numbers of images and
            labels differ, or labels are not 0 to 9.
    """
    folder = data_folder(data, "the four idx .gz files")
    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(read_idx(folder / f"{part}-images-idx3-ubyte.gz", n_axes=3))
        labels.append(read_idx(folder / f"{part}-labels-idx1-ubyte.gz", n_axes=1))
        if len(images[-1]) != len(labels[-1]):
            raise DataError(
                f"{folder}: {part} has {len(images[-1])} images and {len(labels[-1])} labels"
            )
    pixels = np.concatenate(images)[:, None].astype(np.float32) / 255
    every_label = np.concatenate(labels).astype(np.int64)
    if every_label.size and every_label.max() >= len(NAMES):
        raise DataError(f"{folder}: found label {every_label.max()}, expected 0 to 9")
    return in_memory(pixels, every_label, NAMES, first_test=len(images[0]))


def read_idx(path: Path, n_axes: int) -> np.ndarray:
    """Return the uint8 array of a gzipped idx file.

    Raises:
        DataError: the file is missing, not gzip, not idx of `n_axes` axes, or too short.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path}: does not exist; data.folder must hold the idx .gz files"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: is not a complete gzip file ({error}); download it again"
        ) from error
    header = 4 + 4 * n_axes
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, n_axes]):
        raise DataError(
            f"{path}: is not an idx file of unsigned bytes with {n_axes} axes"
            f" (starts with {content[:4].hex(' ') or 'nothing'})"
        )
    shape = struct.unpack(f">{n_axes}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path}: holds {len(content) - header} values, its header states"
            f" {' x '.join(map(str, shape))} = {math.prod(shape)}; download it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
