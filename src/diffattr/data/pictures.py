"""Images that lie encoded in files or tables and are decoded when they are asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64
from PIL import Image

from diffattr.config import Data
from diffattr.data.source import DataError, Images, UnreadableError

N_CHANNELS = {"RGB": 3, "L": 1}


def reader(
    opened: Callable[[int], Image.Image],
    name: Callable[[int], str],
    *,
    mode: Literal["RGB", "L"] = "RGB",
    size: tuple[int, int] | None = None,
    crop: int | None = None,
) -> Callable[[Int64[np.ndarray, " chosen"], int], Images]:
    """Return a `Source.read` of the images that `opened` opens.

    All are converted to `mode`. One that is not of `size` (width, height) cannot be used. `crop` is
    the side of the centre square that is cut out before an image is scaled.
    """

    def read(positions: Int64[np.ndarray, " chosen"], resolution: int) -> Images:
        shape = (len(positions), N_CHANNELS[mode], resolution, resolution)
        images, problems = np.empty(shape, np.float32), {}
        for place, position in enumerate(positions.tolist()):
            try:
                with opened(position) as image:
                    if size not in (None, image.size):
                        raise ValueError(f"is {_by(image.size)} pixels, {_by(size)} expected")
                    images[place] = pixels(image.convert(mode), resolution, crop)
            except MemoryError:
                raise
            # A file may be anything, and PIL raises nearly anything on a bad one.
            except Exception as error:
                problems[position] = f"{name(position)}: {reason(error)}"
        if problems:
            raise UnreadableError(problems)
        return images

    return read


def pixels(
    image: Image.Image, resolution: int, crop: int | None
) -> Float32[np.ndarray, "channel resolution resolution"]:
    """Return an image in [0, 1], scaled as the reference does.

    The centre square of side `crop`, if any; its shorter side scaled to the resolution, bilinearly
    and with PIL's antialiasing; the centre square of that. Rounded as by torchvision's `Resize` and
    `CenterCrop`.
    """
    if crop is not None:
        image = _centre(image, crop)
    if (shorter := min(image.size)) != resolution:
        width, height = (resolution * length // shorter for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    found = np.asarray(_centre(image, resolution), np.float32) / 255
    return np.atleast_3d(found).transpose(2, 0, 1)


def is_grey_and_usable(image: Image.Image, resolution: int) -> bool:
    """Return whether an image has no colour, as far as its header tells.

    Raises:
        ValueError: it cannot be used.
    """
    if min(image.size) < resolution:
        raise ValueError(f"is {_by(image.size)} pixels, less than data.resolution")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        raise ValueError("has an alpha channel; flatten it")
    if image.mode.startswith(("I", "F")):
        raise ValueError("has more than 8 bits per pixel; convert it")
    return image.mode in ("1", "L")


def _centre(image: Image.Image, side: int) -> Image.Image:
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _by(size: tuple[int, ...] | None) -> str:
    return "x".join(map(str, size or ()))


def reason(error: Exception) -> str:
    """Return on one line, and without the path of the file, what is wrong with it."""
    match error:
        case FileNotFoundError():
            return "does not exist"
        case Image.UnidentifiedImageError():
            return "is no image"
        case OSError() if error.strerror:
            return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def folder_of(data: Data, holds: str) -> Path:
    """Return the folder that a data set is read from; `holds` says what should lie in it.

    Raises:
        DataError: the config names none, or names a hub's data set too, or it does not exist.
    """
    if data.hub is not None:
        raise DataError(f"data.hub: found {data.hub!r}; {data.source} is read from data.folder")
    if data.folder is None:
        raise DataError(f"data.folder is missing: name the folder that holds {holds}")
    folder = Path(data.folder)
    if not folder.is_dir():
        raise DataError(f"data.folder: {folder} is no folder; {data.source} needs {holds}")
    return folder


def checked_name(name: str, where: str) -> str:
    """Return a file's name out of a list, once it is seen to be one.

    Raises:
        DataError: it would lead to another folder, or no file has such a name.
    """
    if not name.isprintable() or not name or name == ".." or name != Path(name).name:
        raise DataError(f"{where}: found {name!r}, the plain name of a file is expected")
    return name


def listed(folder: Path) -> list[Path]:
    """Return all files below a folder, hidden ones apart, in the order of their names."""
    files = (path for path in folder.rglob("*") if path.is_file())
    shown = [
        path
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(shown, key=lambda path: path.relative_to(folder).as_posix())
