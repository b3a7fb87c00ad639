"""The images of the pages, each once: in a page's style sheet, or on sheets beside the viewer."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from diffattr.data.image_files import to_picture

Pixels = Float[np.ndarray, "*_ channel height width"] | UInt8[np.ndarray, "*_ channel height width"]
Images = Mapping[str, Pixels]
"""Each split's images, in [-1, 1] or 8-bit, `train` among them."""
LARGEST_SIDE = 64
"""Pixels; larger images are scaled down."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {"png": {"optimize": True}, "webp": {"quality": 80}}
"""How images of each format are saved."""
BUDGET = 1_500_000
"""Characters that lossless images may take in a page before they are compressed with loss."""
SHEET_COLUMNS, SHEET_SIZE = 16, 256
"""Images side by side on a sheet, and in all."""
LOSSLESS_SIDE = 32
"""Pixels; larger images on sheets are compressed with loss, which takes a fifth of the space."""


def stylesheet(images: Images, shown: Iterable[tuple[str, int]]) -> str:
    """Return a CSS class `<split>-<position>` for every image that is shown."""
    keys = sorted(set(shown))
    pictures = {(split, position): picture(images[split][position]) for split, position in keys}
    uris = {key: _uri(picture, "png") for key, picture in pictures.items()}
    if sum(map(len, uris.values())) > BUDGET:
        uris = {key: _uri(picture, "webp") for key, picture in pictures.items()}
    return "\n".join(
        f'.{split}-{position}{{background-image:url("{uri}")}}'
        for (split, position), uri in uris.items()
    )


def write_sheets(
    folder: Path, split: str, images: Pixels, positions: Sequence[int] | None = None
) -> dict[str, Any]:
    """Write the images at these positions (all) as sheets and return how to find one."""
    places = range(len(images)) if positions is None else positions
    width, height = 1, 1
    kind = "png" if max(images.shape[2:]) <= LOSSLESS_SIDE else "webp"
    for number, first in enumerate(range(0, len(places), SHEET_SIZE)):
        tiles = [picture(images[place]) for place in places[first : first + SHEET_SIZE]]
        width, height = tiles[0].size
        columns = min(SHEET_COLUMNS, len(tiles))
        rows = -(-len(tiles) // SHEET_COLUMNS)
        sheet = Image.new(tiles[0].mode, (columns * width, rows * height))
        for place, tile in enumerate(tiles):
            row, column = divmod(place, SHEET_COLUMNS)
            sheet.paste(tile, (column * width, row * height))
        sheet.save(folder / f"{split}-{number}.{kind}", kind, **OPTIONS[kind])
    return {
        "width": width,
        "height": height,
        "kind": kind,
        "columns": SHEET_COLUMNS,
        "size": SHEET_SIZE,
    }


def picture(image: Pixels) -> Image.Image:
    """Return an image, in [-1, 1] or 8-bit, as 8-bit pixels, scaled down if it is large."""
    picture = to_picture(image)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return picture


def _uri(picture: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **OPTIONS[kind])
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
