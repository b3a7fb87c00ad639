"""Images in Arrow tables, as the library `datasets` and the hub's parquet files have them."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from diffattr.data.pictures import reason
from diffattr.data.source import DataError


def opener(columns: Sequence[Any], where: str) -> Callable[[int], Image.Image]:
    """Return what opens the image at a position, counted through all columns.

    Args:
        columns: columns of Arrow tables, each image a struct with `bytes`.
        where: what they were read from, for the error.

    Raises:
        DataError: a column holds something else.
    """
    for column in columns:
        if "bytes" not in (kind := str(column.type)):
            raise DataError(
                f"{where}: the column of images holds {kind}, a struct with bytes is expected"
            )
    chunks = [chunk for column in columns for chunk in column.chunks]
    starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])

    def opened(position: int) -> Image.Image:
        chunk = int(np.searchsorted(starts, position, side="right")) - 1
        image = chunks[chunk][position - int(starts[chunk])].as_py()
        if image is None:
            raise ValueError("is missing")
        # The library keeps the path alone of an image that lies in a file of its own.
        encoded = image["bytes"]
        return Image.open(image["path"] if encoded is None else io.BytesIO(encoded))

    return opened


def from_hub(name: str) -> Any:
    """Return the parts of a data set of the hub, as the library `datasets` reads them.

    Raises:
        DataError: the library is missing, or the data set cannot be had.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"data.hub: {name!r} is read by datasets; pip install 'diffattr[hub]'"
        ) from None
    try:
        found = datasets.load_dataset(name)
    # Its network, cache and builders raise nearly anything.
    except Exception as error:
        raise DataError(
            f"data.hub: {name!r} cannot be had ({reason(error)}); it takes a network and the name"
            " of a data set, or put the files into data.folder"
        ) from error
    return found


def undecoded(part: Any, column: str) -> Any:
    """Return the Arrow table of one part of a data set, the images of a column still encoded."""
    import datasets

    return part.cast_column(column, datasets.Image(decode=False)).data.table
