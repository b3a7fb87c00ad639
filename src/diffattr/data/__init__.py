"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(data) -> Source` and one line in DATA_SOURCES.
"""

from collections.abc import Callable

from diffattr import plugins
from diffattr.config import Data
from diffattr.data import artbench, celeba, cifar10, digits, fashion_mnist, images
from diffattr.data.source import DataSet, Source

DATA_SOURCES: dict[str, DataSet] = {
    "artbench": DataSet(artbench.load, artbench.DOWNLOADS),
    "celeba": DataSet(celeba.load, celeba.DOWNLOADS),
    "cifar10": DataSet(cifar10.load, cifar10.DOWNLOADS),
    "digits": DataSet(digits.load, downloads=()),
    "fashion-mnist": DataSet(fashion_mnist.load, fashion_mnist.DOWNLOADS),
    "images": DataSet(images.load, images.DOWNLOADS),
}


def data_source(name: str) -> Callable[[Data], Source]:
    """Return the function that loads a data set: one of ours, or a plug-in's.

    Raises:
        PluginError: the plug-in cannot be loaded; when it is called, that it gave no `Source`.
    """
    if name in DATA_SOURCES:
        return DATA_SOURCES[name].load
    function = plugins.load_function("data-sources", name, "the section data")

    def load(data: Data) -> Source:
        found = plugins.call(name, function, data)
        if not isinstance(found, Source):
            raise plugins.PluginError(
                f"plug-in {name}: returned {plugins.kind(found)}, a Source expected"
            )
        return found

    return load
