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

from diffattr.data.source import DataError, Source

_UNSIGNED_BYTE = 0x08


def load(folder: str | None) -> Source:
    """Return all 70,000 images; the last 10,000 are the test set."""
    if folder is None:
        raise DataError("data.folder is missing: name the folder that holds the four idx .gz files")
    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(read_idx(Path(folder) / f"{part}-images-idx3-ubyte.gz", n_axes=3))
        labels.append(read_idx(Path(folder) / f"{part}-labels-idx1-ubyte.gz", n_axes=1))
        if len(images[-1]) != len(labels[-1]):
            raise DataError(
                f"{folder}: {part} has {len(images[-1])} images and {len(labels[-1])} labels"
            )
    pixels = np.concatenate(images)[:, None].astype(np.float32) / 255
    return Source(pixels, np.concatenate(labels).astype(np.int64), first_test=len(images[0]))


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
        raise DataError(f"{path}: is not a whole gzip file ({error}); fetch it again") from error
    header = 4 + 4 * n_axes
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, n_axes]):
        raise DataError(
            f"{path}: is not an idx file of unsigned bytes with {n_axes} axes"
            f" (starts with {content[:4].hex(' ') or 'nothing'})"
        )
    shape = struct.unpack(f">{n_axes}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path}: holds {len(content) - header} values, its header says"
            f" {' x '.join(map(str, shape))} = {math.prod(shape)}; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
