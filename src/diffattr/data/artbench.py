"""ArtBench-10: 60,000 paintings in ten styles, 3x256x256.

Source: Liao, Li, Liu, Keutzer, "The ArtBench dataset" (arXiv 2206.11404). Labels number the styles
in alphabetical order.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diffattr.config import Data
from diffattr.data.image_files import data_folder, file_reader, plain_file_name
from diffattr.data.source import DataError, Source

TABLE, IMAGES = "ArtBench-10.csv", "artbench-10-imagefolder"
SIZE = (256, 256)
DOWNLOADS = (
    "download ArtBench-10.csv and the 256x256 images with one folder per style, which"
    " https://github.com/liaopeiyuan/artbench links to, and put the table and the unpacked folder"
    " artbench-10-imagefolder into data.folder"
)


def load(data: Data) -> Source:
    """Return all images; positions are row numbers of the table.

    Raises:
        DataError: data.folder or the table is missing, the table lacks a column, or a row has an
            unknown split or an invalid file name.
    """
    folder = data_folder(data, f"{TABLE} and {IMAGES}/")
    files, styles, parts = [], [], []
    for where, row in _rows(folder / TABLE):
        if row["split"] not in ("train", "test"):
            raise DataError(f"{where}: found split {row['split']!r}, expected train or test")
        styles.append(plain_file_name(row["label"], where))
        files.append(f"{IMAGES}/{row['label']}/{plain_file_name(row['name'], where)}")
        parts.append(row["split"])
    names, labels = np.unique(styles, return_inverse=True)
    return Source(
        labels.astype(np.int64),
        tuple(names.tolist()),
        train_pool=np.flatnonzero(np.array(parts) == "train"),
        val_pool=np.flatnonzero(np.array(parts) == "test"),
        read=file_reader(files, folder, size=SIZE),
    )


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each row of the table, for errors, and the row."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; data.folder must hold it and {IMAGES}/")
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader(file, restval="")
        try:
            if missing := {"name", "label", "split"} - set(rows.fieldnames or ()):
                raise DataError(f"{path}: has no column {', '.join(sorted(missing))}")
            for row in rows:
                yield f"{path}, line {rows.line_num}", row
        except csv.Error as error:
            raise DataError(
                f"{path}, line {rows.line_num}: is not a CSV table ({error})"
            ) from error
