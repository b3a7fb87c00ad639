"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(folder) -> Source` and one line in DATA_SOURCES.
"""

from collections.abc import Callable

from diffattr.data import digits, fashion_mnist
from diffattr.data.source import Source

DATA_SOURCES: dict[str, Callable[[str | None], Source]] = {
    "digits": digits.load,
    "fashion-mnist": fashion_mnist.load,
}
