"""Sheets: many images in one file, each image once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from diffattr.report import pictures

SHEET_COLUMNS, SHEET_SIZE = 16, 256
"""Images side by side on a sheet, and in all."""
LOSSLESS_SIDE = 32
"""Pixels; larger images are compressed with loss, which takes a fifth of the space."""


def write_sheets(
    folder: Path,
    split: str,
    images: Float[np.ndarray, "_ channel height width"]
    | UInt8[np.ndarray, "_ channel height width"],
    positions: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Write the images at these positions (all) as sheets and return how to find one."""
    places = range(len(images)) if positions is None else positions
    width, height = 1, 1
    kind = "png" if max(images.shape[2:]) <= LOSSLESS_SIDE else "webp"
    for number, first in enumerate(range(0, len(places), SHEET_SIZE)):
        tiles = [pictures.picture(images[place]) for place in places[first : first + SHEET_SIZE]]
        width, height = tiles[0].size
        columns = min(SHEET_COLUMNS, len(tiles))
        rows = -(-len(tiles) // SHEET_COLUMNS)
        sheet = Image.new(tiles[0].mode, (columns * width, rows * height))
        for place, tile in enumerate(tiles):
            row, column = divmod(place, SHEET_COLUMNS)
            sheet.paste(tile, (column * width, row * height))
        sheet.save(folder / f"{split}-{number}.{kind}", kind, **pictures.OPTIONS[kind])
    return {
        "width": width,
        "height": height,
        "kind": kind,
        "columns": SHEET_COLUMNS,
        "size": SHEET_SIZE,
    }
