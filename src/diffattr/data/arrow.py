"""Images in Arrow tables, as in the library `datasets` and the Hub's parquet files."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from diffattr.data.image_files import reason
from diffattr.data.source import DataError


def opener(columns: Sequence[Any], where: str) -> Callable[[int], Image.Image]:
    """Return a function that opens the image at a position in the concatenated columns.

    Args:
        columns: columns of Arrow tables whose entries are structs with `bytes`.
        where: names their source in errors.

    Raises:
        DataError: a column has another type.
    """
    for column in columns:
        if "bytes" not in (kind := str(column.type)):
            raise DataError(f"{where}: the image column holds {kind}, expected a struct with bytes")
    chunks = [chunk for column in columns for chunk in column.chunks]
    starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])

    def open_image(position: int) -> Image.Image:
        chunk = int(np.searchsorted(starts, position, side="right")) - 1
        image = chunks[chunk][position - int(starts[chunk])].as_py()
        if image is None:
            raise ValueError("is missing")
        # For an image in a separate file, the library stores only the path.
        encoded = image["bytes"]
        return Image.open(image["path"] if encoded is None else io.BytesIO(encoded))

    return open_image


def from_hub(name: str) -> Any:
    """Return the splits of a data set on the Hub, as the library `datasets` reads them.

    Raises:
        DataError: the library is missing, or the data set cannot be loaded.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"data.hub: reading {name!r} needs the package datasets; pip install 'diffattr[hub]'"
        ) from None
    try:
        return datasets.load_dataset(name)
    # Its network, cache and builders raise nearly anything.
    except Exception as error:
        raise DataError(
            f"data.hub: {name!r} cannot be loaded ({reason(error)}); check the name and the"
            " network, or put the files into data.folder"
        ) from error


def encoded_table(part: Any, column: str) -> Any:
    """Return the Arrow table of one split of a data set, without decoding its image column."""
    import datasets

    return part.cast_column(column, datasets.Image(decode=False)).data.table
