"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(folder) -> Source` and one line in DATA_SOURCES.
"""

from collections.abc import Callable

from diffattr import plugins
from diffattr.data import digits, fashion_mnist
from diffattr.data.source import Source

DATA_SOURCES: dict[str, Callable[[str | None], Source]] = {
    "digits": digits.load,
    "fashion-mnist": fashion_mnist.load,
}


def data_source(name: str) -> Callable[[str | None], Source]:
    """Return the function that loads a data set: one of ours, or a plug-in's.

    Raises:
        PluginError: the plug-in cannot be loaded; when it is called, that it gave no `Source`.
    """
    if name in DATA_SOURCES:
        return DATA_SOURCES[name]
    function = plugins.load_function("data-sources", name, "the folder")

    def load(folder: str | None) -> Source:
        found = plugins.call(name, function, folder)
        if not isinstance(found, Source):
            raise plugins.PluginError(
                f"plug-in {name}: returned {plugins.kind(found)}, a Source expected"
            )
        return found

    return load
