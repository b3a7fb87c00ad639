"""What tests of data sets share: configs of them, and images whose every pixel is known."""

import io

import numpy as np
import pytest
from PIL import Image

from diffattr.config import Data
from diffattr.data import DATA_SOURCES
from diffattr.data.source import DataError


def section(source, folder=None, **keys):
    folder = None if folder is None else str(folder)
    defaults = {"resolution": 8, "n_train": 2, "n_val": 1, "n_planted": 0}
    return Data(source=source, folder=folder, **{**defaults, **keys})


def load(source, folder=None, **keys):
    return DATA_SOURCES[source].load(section(source, folder, **keys))


def everything(source, resolution):
    """Return every image of a data set."""
    return source.read(np.arange(len(source.labels)), resolution)


def images_of(part):
    """Return every image of a split."""
    return np.concatenate(list(part.chunks()))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def encoded(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def refusal(call, *arguments):
    """Return the one line in which a call is refused."""
    with pytest.raises(DataError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
