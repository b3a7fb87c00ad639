"""Downloading the files of a data set."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

from diffattr.config import Data
from diffattr.data import DATA_SOURCES
from diffattr.data.image_files import reason
from diffattr.data.source import DataError, Download


def fetch(data: Data) -> str:
    """Download a config's data set, and return a sentence about the result.

    Files go into data.folder, data sets of the Hub into the cache of the library `datasets`. Files
    with the right checksum are not downloaded again.

    Raises:
        DataError: the data set cannot be downloaded; the message lists what to put where.
    """
    if data.source not in DATA_SOURCES:
        raise DataError(f"data.source {data.source}: a plug-in's data set has no known downloads")
    data_set = DATA_SOURCES[data.source]
    if data.hub or not data_set.downloads:
        return f"{data.source}: {len(data_set.load(data).labels)} images are available"
    if isinstance(data_set.downloads, str):
        raise DataError(f"data.source {data.source}: {data_set.downloads}")
    if data.folder is None:
        raise DataError("data.folder is missing: name the folder for the files")
    folder = Path(data.folder)
    download(data_set.downloads, folder)
    return f"{folder}: holds {', '.join(one.name for one in data_set.downloads)}"


def download(downloads: Sequence[Download], folder: Path) -> None:
    """Download files into a folder, check them against their checksums and unpack archives.

    Raises:
        DataError: a file cannot be downloaded or unpacked, or has another checksum.
    """
    import pooch

    for wanted in downloads:
        path = folder / wanted.name
        try:
            pooch.retrieve(wanted.url, f"md5:{wanted.md5}", wanted.name, folder)
        # Its protocols raise nearly anything.
        except Exception as error:
            raise DataError(
                f"{wanted.url}: cannot be downloaded ({reason(error)}); download {wanted.name}"
                f" (MD5 {wanted.md5}) on another machine, put it into {folder} and run snakemake"
                " fetch again"
            ) from error
        if not path.name.endswith(".tar.gz"):
            continue
        if not hasattr(tarfile, "data_filter"):
            raise DataError(
                f"{path}: unpacking it safely needs Python 3.11.4 or later; unpack it there by hand"
            )
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{path}: cannot be unpacked ({reason(error)})") from error
