"""CelebA: 202,599 faces, aligned and cropped, 3x218x178; no classes.

Source: Liu, Luo, Wang, Tang, "Deep learning face attributes in the wild" (ICCV 2015). As in
D-TRAK's published code, training images come from partition 0, queries from partition 1, and each
image is cropped to its centre square of 140 pixels.
"""

import numpy as np

from diffattr.config import Data
from diffattr.data.image_files import data_folder, file_reader, plain_file_name
from diffattr.data.source import DataError, Source

PARTITIONS, IMAGES = "list_eval_partition.txt", "img_align_celeba"
SIZE = (178, 218)
DOWNLOADS = (
    "CelebA is distributed only by its authors: download img_align_celeba.zip and"
    " list_eval_partition.txt from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and put the"
    " list and the unpacked folder img_align_celeba into data.folder"
)


def load(data: Data) -> Source:
    """Return all images; positions are line numbers of the list of partitions.

    Raises:
        DataError: data.folder or the list is missing, or a line is not a file name and 0, 1 or 2.
    """
    folder = data_folder(data, f"{PARTITIONS} and {IMAGES}/")
    path = folder / PARTITIONS
    if not path.exists():
        raise DataError(f"{path}: does not exist; data.folder must hold it and {IMAGES}/")
    files, parts = [], []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        where = f"{path}, line {number}"
        match line.split():
            case [name, "0" | "1" | "2" as part]:
                files.append(f"{IMAGES}/{plain_file_name(name, where)}")
                parts.append(int(part))
            case _:
                raise DataError(
                    f"{where}: found {line[:60]!r}, expected a file name and its partition"
                    " 0, 1 or 2"
                )
    partitions = np.array(parts, np.int64)
    return Source(
        np.zeros(len(files), np.int64),
        ("face",),
        train_pool=np.flatnonzero(partitions == 0),
        val_pool=np.flatnonzero(partitions == 1),
        read=file_reader(files, folder, size=SIZE, crop=140),
    )
