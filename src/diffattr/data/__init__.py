"""Data sets: where images come from and how they are split.

A data set is one small file with a function `load(data) -> Source` and one line in DATA_SOURCES.
"""

from diffattr.data import artbench, celeba, cifar10, digits, fashion_mnist, images
from diffattr.data.source import DataSet

DATA_SOURCES: dict[str, DataSet] = {
    "artbench": DataSet(artbench.load, artbench.DOWNLOADS),
    "celeba": DataSet(celeba.load, celeba.DOWNLOADS),
    "cifar10": DataSet(cifar10.load, cifar10.DOWNLOADS),
    "digits": DataSet(digits.load, downloads=()),
    "fashion-mnist": DataSet(fashion_mnist.load, fashion_mnist.DOWNLOADS),
    "images": DataSet(images.load, images.DOWNLOADS),
}
