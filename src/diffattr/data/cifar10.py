"""CIFAR-10: 50,000 + 10,000 images, 3x32x32, ten classes.

Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).

Positions are those of the Hugging Face data set, test images after training images, so that
D-TRAK's splits, which index into it, are reproduced exactly.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from PIL import Image

from diffattr.config import Data
from diffattr.data.hub import encoded_table, from_hub, opener
from diffattr.data.image_files import data_folder, file_reader, reader, reason, visible_files
from diffattr.data.source import DataError, Download, Read, Source

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DOWNLOADS = (
    Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
    ),
)
UNPACKED = "cifar-10-batches-bin"
"""The folder inside the archive."""

BATCHES = (4, 3, 2, 5, 1)
"""The training batches in the Hub's order, which is that of the pickled archive."""

_SIZE = (32, 32)
_ROW = 1 + 3 * 32 * 32
_LAYOUTS = (
    "the unpacked cifar-10-binary.tar.gz (data_batch_1.bin and so on), or the Hub's"
    " train-*.parquet and test-*.parquet, or images as train/<class>/ and test/<class>/"
)


def load(data: Data) -> Source:
    """Return all images, from `data.hub` or from `data.folder` in any known layout.

    Raises:
        DataError: both or neither are set, the folder has none of the layouts, a file is missing
            or damaged, or labels are not 0 to 9.
    """
    if data.hub and data.folder is not None:
        raise DataError(f"data.hub: found {data.hub!r} and data.folder; set only one of them")
    if data.hub:
        return _from_hub(data.hub)
    folder = data_folder(data, _LAYOUTS)
    for place in (folder, folder / UNPACKED):
        if list(place.glob("*_batch*.bin")):
            return _from_binary(place)
    if list(folder.rglob("train-*.parquet")):
        return _from_parquet(folder)
    if (folder / "train").is_dir():
        return _from_images(folder)
    if list(folder.rglob("data_batch_1")):
        raise DataError(
            f"{folder}: holds CIFAR-10 in the pickled layout, which is not read, since pickles can"
            f" execute code; download the binary version, {DOWNLOADS[0].url}"
        )
    raise DataError(f"{folder}: holds no CIFAR-10; expected {_LAYOUTS}")


def _source(labels: list[Int64[np.ndarray, " _"]], read: Read) -> Source:
    """Return the data set; `labels` are those of the training images and of the test images."""
    n_train, n_test = map(len, labels)
    return Source(
        np.concatenate(labels),
        NAMES,
        train_pool=np.arange(n_train),
        val_pool=np.arange(n_train, n_train + n_test),
        read=read,
    )


def _from_binary(folder: Path) -> Source:
    train = np.concatenate([_rows(folder / f"data_batch_{batch}.bin") for batch in BATCHES])
    test = _rows(folder / "test_batch.bin")
    rows = np.concatenate([train, test])

    def open_image(position: int) -> Image.Image:
        return Image.fromarray(rows[position, 1:].reshape(3, 32, 32).transpose(1, 2, 0))

    labels = [part[:, 0].astype(np.int64) for part in (train, test)]
    return _source(labels, reader(open_image, lambda position: f"{folder}: position {position}"))


def _rows(path: Path) -> np.ndarray:
    """Return a label and 3x32x32 pixels per row, uint8."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; unpack {DOWNLOADS[0].name} again")
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % _ROW:
        raise DataError(
            f"{path}: holds {content.size} bytes, expected a multiple of {_ROW} (a label and"
            f" 3x32x32 pixels per image); unpack {DOWNLOADS[0].name} again"
        )
    rows = content.reshape(-1, _ROW)
    _check(rows[:, 0], path)
    return rows


def _check(labels: np.ndarray, where: Path | str) -> None:
    if labels.size and not 0 <= labels.min() <= labels.max() < len(NAMES):
        raise DataError(f"{where}: found labels {labels.min()} to {labels.max()}, expected 0 to 9")


def _from_parquet(folder: Path) -> Source:
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{folder}: reading parquet files needs pyarrow; pip install 'diffattr[hub]'"
        ) from None
    parts = []
    for part in ("train", "test"):
        files = sorted(folder.rglob(f"{part}-*.parquet"))
        if not files:
            raise DataError(f"{folder}: has no {part}-*.parquet; expected train and test")
        tables = []
        for file in files:
            try:
                table = pyarrow.parquet.read_table(file, columns=["img", "label"])
                tables.append(table.replace_schema_metadata(None))
            except (pyarrow.ArrowException, OSError) as error:
                raise DataError(
                    f"{file}: is not a complete parquet file with columns img and label"
                    f" ({reason(error)}); download it again"
                ) from error
        parts.append(pyarrow.concat_tables(tables))
    return _from_tables(parts, str(folder))


def _from_hub(name: str) -> Source:
    found = from_hub(name)
    try:
        parts = [encoded_table(found[part], "img") for part in ("train", "test")]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"data.hub: {name!r} does not have splits train and test with columns img and label"
            f" ({reason(error)})"
        ) from error
    return _from_tables(parts, name)


def _from_tables(parts: list[Any], where: str) -> Source:
    """Return the data set of two Arrow tables with columns `img` (see `opener`) and `label`."""
    open_image = opener([part.column("img") for part in parts], where)
    labels = []
    for part in parts:
        found = np.asarray(part.column("label").to_pylist())
        if found.dtype.kind not in "iu":
            raise DataError(f"{where}: the column label holds {found.dtype}, expected integers")
        _check(found, where)
        labels.append(found.astype(np.int64))
    read = reader(open_image, lambda position: f"{where}: position {position}", size=_SIZE)
    return _source(labels, read)


def _from_images(folder: Path) -> Source:
    files, labels = [], []
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise DataError(f"{folder}: has no folder {part}; expected {_LAYOUTS}")
        found = visible_files(folder / part)
        names = [file.relative_to(folder / part).parts[0] for file in found]
        if unknown := sorted(set(names) - set(NAMES)):
            raise DataError(
                f"{folder / part}: found {unknown[0]!r}, expected one folder per class, named"
                f" {', '.join(NAMES)}"
            )
        files += found
        labels.append(np.array([NAMES.index(name) for name in names], np.int64))
    return _source(labels, file_reader(files, size=_SIZE))
