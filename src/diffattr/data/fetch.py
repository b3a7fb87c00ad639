"""Getting a data set's files from where they are published."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

from diffattr.config import Data
from diffattr.data import DATA_SOURCES
from diffattr.data.pictures import reason
from diffattr.data.source import DataError, Download


def fetch(data: Data) -> str:
    """Get what a config's data set is read from, and return a sentence that says what there is.

    Files go into data.folder; what a hub holds goes into the cache of its library. Files that are
    there and have their checksum are not fetched again.

    Raises:
        DataError: they cannot be had, with what to put where.
    """
    if data.source not in DATA_SOURCES:
        raise DataError(f"data.source {data.source}: nothing is known that could be fetched for it")
    data_set = DATA_SOURCES[data.source]
    if data.hub or not data_set.downloads:
        return f"{data.source}: {len(data_set.load(data).labels)} images are there"
    if isinstance(data_set.downloads, str):
        raise DataError(f"data.source {data.source}: {data_set.downloads}")
    if data.folder is None:
        raise DataError("data.folder is missing: name the folder that the files should go into")
    folder = Path(data.folder)
    download(data_set.downloads, folder)
    return f"{folder}: holds {', '.join(one.name for one in data_set.downloads)}"


def download(downloads: Sequence[Download], folder: Path) -> None:
    """Get files into a folder, hold them against their checksums and unpack the archives.

    Raises:
        DataError: one cannot be had, or is another than it should be.
    """
    import pooch

    for wanted in downloads:
        path = folder / wanted.name
        try:
            pooch.retrieve(wanted.url, f"md5:{wanted.md5}", wanted.name, folder)
        # Whatever its protocols raise.
        except Exception as error:
            raise DataError(
                f"{wanted.url}: cannot be fetched ({reason(error)}); get {wanted.name}"
                f" (MD5 {wanted.md5}) on another machine, put it into {folder} and run snakemake"
                " fetch again"
            ) from error
        if not path.name.endswith(".tar.gz"):
            continue
        if not hasattr(tarfile, "data_filter"):
            raise DataError(
                f"{path}: this Python cannot unpack it safely, 3.11.4 or later can; unpack it by"
                " hand where it lies"
            )
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{path}: cannot be unpacked ({reason(error)})") from error
