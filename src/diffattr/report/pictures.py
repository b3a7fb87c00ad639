"""The images of the page, each embedded once, as a rule of its style sheet."""

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from diffattr.data.image_files import to_uint8

LARGEST_SIDE = 64
"""Pixels; larger images are scaled down."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {"png": {"optimize": True}, "webp": {"quality": 80}}
"""How images of each format are saved."""
BUDGET = 1_500_000
"""Characters that lossless images may take before they are compressed with loss."""


def stylesheet(
    images: Mapping[str, Float[np.ndarray, "_ channel height width"]],
    shown: Iterable[tuple[str, int]],
) -> str:
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


def picture(
    image: Float[np.ndarray, "channel height width"] | UInt8[np.ndarray, "channel height width"],
) -> Image.Image:
    """Return an image, in [-1, 1] or 8-bit, as 8-bit pixels, scaled down if it is large."""
    pixels = to_uint8(image).transpose(1, 2, 0)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return picture


def _uri(picture: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **OPTIONS[kind])
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
