"""Image files: finding, checking, decoding and writing them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image

from diffattr.artifacts import atomic_write
from diffattr.config import Data
from diffattr.data.source import DataError, Images, Read, UnreadableError

N_CHANNELS = {"RGB": 3, "L": 1}


def reader(
    open_image: Callable[[int], Image.Image],
    name: Callable[[int], str],
    *,
    mode: Literal["RGB", "L"] = "RGB",
    size: tuple[int, int] | None = None,
    crop: int | None = None,
) -> Read:
    """Return a `Source.read` that decodes images on demand.

    `open_image` opens the image at a position, `name` names it in errors. Every image must have
    this `size` (width, height). It is converted to `mode`, and its centre square of side `crop` cut
    out before scaling.
    """

    def read(positions: Int64[np.ndarray, " chosen"], resolution: int) -> Images:
        shape = (len(positions), N_CHANNELS[mode], resolution, resolution)
        images, problems = np.empty(shape, np.float32), {}
        for row, position in enumerate(positions.tolist()):
            try:
                with open_image(position) as image:
                    if size not in (None, image.size):
                        raise ValueError(f"is {_by(image.size)} pixels, expected {_by(size)}")
                    images[row] = scaled(image.convert(mode), resolution, crop)
            except MemoryError:
                raise
            # A file may hold anything, and PIL raises nearly anything on a bad one.
            except Exception as error:
                problems[position] = f"{name(position)}: {reason(error)}"
        if problems:
            raise UnreadableError(problems)
        return images

    return read


def file_reader(files: Sequence[str | Path], folder: Path = Path(), **options: Any) -> Read:
    """Return a `reader` of files below a folder, with its options."""
    return reader(
        lambda position: Image.open(folder / files[position]),
        lambda position: str(files[position]),
        **options,
    )


def scaled(
    image: Image.Image, resolution: int, crop: int | None
) -> Float32[np.ndarray, "channel resolution resolution"]:
    """Return an image in [0, 1], scaled as in the reference.

    Cuts out the centre square of side `crop`, if given, scales the shorter side to the resolution
    (bilinear, PIL's antialiasing) and cuts out the centre square. Rounds like torchvision's
    `Resize` and `CenterCrop`.
    """
    if crop is not None:
        image = _centre(image, crop)
    if (shorter := min(image.size)) != resolution:
        width, height = (resolution * length // shorter for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(_centre(image, resolution), np.float32) / 255
    return np.atleast_3d(pixels).transpose(2, 0, 1)


def is_grey_and_usable(image: Image.Image, resolution: int) -> bool:
    """Return whether the header of an image describes it as grey.

    Raises:
        ValueError: the image is too small, has an alpha channel or more than 8 bits.
    """
    if min(image.size) < resolution:
        raise ValueError(f"is {_by(image.size)} pixels, less than data.resolution")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        raise ValueError("has an alpha channel; flatten it")
    if image.mode.startswith(("I", "F")):
        raise ValueError("has more than 8 bits per pixel; convert it")
    return image.mode in ("1", "L")


def mixed_colour(all_grey: bool) -> str:
    """Return what is wrong with an image that is grey, or not, unlike the rest of its data set."""
    return f"is {'in colour among grey' if all_grey else 'grey among coloured'} images"


def _centre(image: Image.Image, side: int) -> Image.Image:
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _by(size: tuple[int, ...] | None) -> str:
    return "x".join(map(str, size or ()))


def reason(error: Exception) -> str:
    """Return on one line, without the file's path, why a file could not be read."""
    match error:
        case FileNotFoundError():
            return "does not exist"
        case Image.UnidentifiedImageError():
            return "is not an image"
        case OSError() if error.strerror:
            return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def data_folder(data: Data, content: str) -> Path:
    """Return the folder of a data set; errors describe its expected `content`.

    Raises:
        DataError: data.folder is missing or does not exist, or data.hub is set.
    """
    if data.hub is not None:
        raise DataError(f"data.hub: found {data.hub!r}; {data.source} is read from data.folder")
    if data.folder is None:
        raise DataError(f"data.folder is missing: name the folder that holds {content}")
    folder = Path(data.folder)
    if not folder.is_dir():
        raise DataError(f"data.folder: {folder} is not a folder; {data.source} needs {content}")
    return folder


def plain_file_name(name: str, where: str) -> str:
    """Return a file name read from a list.

    Raises:
        DataError: it leads to another folder, or no file can have this name.
    """
    if not name.isprintable() or not name or name == ".." or name != Path(name).name:
        raise DataError(f"{where}: found {name!r}, expected a file name without a folder")
    return name


def visible_files(folder: Path) -> list[Path]:
    """Return all files below a folder except hidden ones, sorted by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    visible = [
        path
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(visible, key=lambda path: path.relative_to(folder).as_posix())


def to_uint8(
    images: Float[np.ndarray, "*batch channel height width"]
    | UInt8[np.ndarray, "*batch channel height width"],
) -> UInt8[np.ndarray, "*batch channel height width"]:
    """Return images in [-1, 1] as integers from 0 to 255; 8-bit images are returned unchanged."""
    if images.dtype == np.uint8:
        return images
    return ((images.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)


def to_picture(
    image: Float[np.ndarray, "channel height width"] | UInt8[np.ndarray, "channel height width"],
) -> Image.Image:
    """Return an image, in [-1, 1] or 8-bit, as 8-bit pixels, grey or RGB."""
    pixels = to_uint8(image).transpose(1, 2, 0)
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)


def write_pngs(
    directory: str | Path,
    images: Float32[np.ndarray, "image channel height width"]
    | UInt8[np.ndarray, "image channel height width"],
) -> None:
    """Write images, in [-1, 1] or 8-bit, as 8-bit PNG files named by their number."""
    with atomic_write(directory) as temporary:
        temporary.mkdir()
        for number, image in enumerate(images):
            to_picture(image).save(temporary / f"{number:04d}.png")
