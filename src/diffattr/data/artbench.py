"""ArtBench-10: 60,000 paintings in ten styles, 3x256x256.

Source: Liao, Li, Liu, Keutzer, "The ArtBench dataset" (arXiv 2206.11404). Labels number the styles
in alphabetical order.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.pictures import checked_name, folder_of, reader
from diffattr.data.source import DataError, Source

TABLE, IMAGES = "ArtBench-10.csv", "artbench-10-imagefolder"
SIZE = (256, 256)
DOWNLOADS = (
    "https://github.com/liaopeiyuan/artbench says where ArtBench-10 lies: take ArtBench-10.csv and"
    " the 256x256 images with one folder per style, and put the table and the unpacked folder"
    " artbench-10-imagefolder into data.folder"
)


def load(data: Data) -> Source:
    """Return all images; a position is the number of a row of the table.

    Raises:
        DataError: data.folder or the table is missing, the table lacks a column, or a row names an
            unknown split or something that is not the plain name of a file.
    """
    folder = folder_of(data, f"{TABLE} and {IMAGES}/")
    path = folder / TABLE
    if not path.exists():
        raise DataError(f"{path}: does not exist; data.folder must hold it and {IMAGES}/")
    files, styles, parts = [], [], []
    for where, row in _rows(path):
        if row["split"] not in ("train", "test"):
            raise DataError(f"{where}: found split {row['split']!r}, expected train or test")
        styles.append(checked_name(row["label"], where))
        files.append(f"{row['label']}/{checked_name(row['name'], where)}")
        parts.append(row["split"])
    names, labels = np.unique(styles, return_inverse=True)
    return Source(
        labels.astype(np.int64),
        tuple(names.tolist()),
        train_pool=np.flatnonzero(np.array(parts) == "train"),
        val_pool=np.flatnonzero(np.array(parts) == "test"),
        read=reader(
            lambda position: Image.open(folder / IMAGES / files[position]),
            lambda position: f"{IMAGES}/{files[position]}",
            size=SIZE,
        ),
    )


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every row of the table with the place where it stands."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader(file, restval="")
        try:
            if missing := {"name", "label", "split"} - set(rows.fieldnames or ()):
                raise DataError(f"{path}: has no column {', '.join(sorted(missing))}")
            for row in rows:
                yield f"{path}, line {rows.line_num}", row
        except csv.Error as error:
            raise DataError(f"{path}, line {rows.line_num}: is no table ({error})") from error
