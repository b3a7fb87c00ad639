"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(data) -> Source` and one line in DATA_SOURCES.
"""

from diffattr.data import digits, fashion_mnist
from diffattr.data.source import DataSet

DATA_SOURCES: dict[str, DataSet] = {
    "digits": DataSet(digits.load, downloads=()),
    "fashion-mnist": DataSet(fashion_mnist.load, fashion_mnist.DOWNLOADS),
}
