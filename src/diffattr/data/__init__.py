"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(data) -> Source` and one line in DATA_SOURCES.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int64

from diffattr import plugins
from diffattr.config import Data
from diffattr.data import artbench, celeba, cifar10, digits, fashion_mnist, hub, image_folder
from diffattr.data.source import DataSet, Images, Source, UnreadableError

DATA_SOURCES: dict[str, DataSet] = {
    "artbench": DataSet(artbench.load, artbench.DOWNLOADS),
    "celeba": DataSet(celeba.load, celeba.DOWNLOADS),
    "cifar10": DataSet(cifar10.load, cifar10.DOWNLOADS),
    "digits": DataSet(digits.load, downloads=()),
    "fashion-mnist": DataSet(fashion_mnist.load, fashion_mnist.DOWNLOADS),
    "hub": DataSet(hub.load, hub.DOWNLOADS),
    "images": DataSet(image_folder.load, image_folder.DOWNLOADS, is_folder=True),
}


def data_source(name: str) -> Callable[[Data], Source]:
    """Return the function that loads a data set, built-in or plug-in.

    Raises:
        PluginError: the plug-in cannot be loaded. The returned function raises it for anything but
            a `Source`, and the source's `read` for invalid images.
    """
    if name in DATA_SOURCES:
        return DATA_SOURCES[name].load
    function = plugins.load_function("data-sources", name, "the section data")

    def load(data: Data) -> Source:
        found = plugins.call(name, function, data)
        if not isinstance(found, Source):
            raise plugins.PluginError(
                f"plug-in {name}: returned {plugins.kind(found)}, expected a Source"
            )
        return replace(found, read=partial(_read, name, found.read))

    return load


def _read(
    name: str, read: Callable[..., Any], positions: Int64[np.ndarray, " chosen"], resolution: int
) -> Images:
    """Return the images read by a plug-in's source, checked."""
    found = plugins.call(name, read, positions, resolution, passing=UnreadableError)
    channels = np.shape(found)[1:2]
    images = plugins.checked(name, found, (len(positions), *channels, resolution, resolution))
    if images.size and (images.min() < 0 or images.max() > 1):
        raise plugins.PluginError(
            f"plug-in {name}: returned pixel values from {images.min():g} to {images.max():g},"
            " expected 0 to 1"
        )
    return images.astype(np.float32)
