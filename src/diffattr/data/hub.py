"""Any image data set on the Hugging Face Hub, or in a folder that `datasets` reads.

Positions count through the split `train`, then through `test` or `validation` if there is one.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from diffattr.config import Data
from diffattr.data.image_files import is_grey_and_usable, mixed_colour, reader, reason
from diffattr.data.source import DataError, Source

DOWNLOADS = "the library datasets downloads data.hub when it is first read"


def load(data: Data) -> Source:
    """Return the data set `data.hub`; its images are grey if the first one is.

    Raises:
        DataError: data.hub is missing or data.folder is set too, the data set cannot be loaded, its
            split `train` is missing or empty, or its columns or labels are ambiguous.
    """
    if not data.hub or data.folder is not None:
        raise DataError("data.hub is missing, or data.folder is set too: set data.hub alone")
    name, parts = data.hub, from_hub(data.hub)
    if "train" not in parts:
        raise DataError(f"data.hub: {name} has no split train; it has {', '.join(parts)}")
    further = [part for part in ("test", "validation") if part in parts][:1]
    image, label = _columns(name, parts["train"].features)
    chosen = [parts[part] for part in ("train", *further)]
    if any(part.features != chosen[0].features for part in chosen):
        raise DataError(f"data.hub: {name}: the columns of {further[0]} differ from those of train")
    columns = [encoded_table(part, image).column(image) for part in chosen]
    n_train, n = len(chosen[0]), sum(map(len, chosen))
    if not n_train:
        raise DataError(f"data.hub: {name}: the split train has no images")
    names, labels = ("all",), np.zeros(n, np.int64)
    if label is not None:
        names = tuple(parts["train"].features[label].names)
        found = [number for part in chosen for number in part[label]]
        if not all(isinstance(number, int) and 0 <= number < len(names) for number in found):
            raise DataError(f"data.hub: {name} has images without a class in its column {label}")
        labels = np.array(found, np.int64)
    open_image = opener(columns, name)
    with open_image(0) as first:
        all_grey = first.mode in ("1", "L")

    def checked(position: int) -> Image.Image:
        image = open_image(position)
        if is_grey_and_usable(image, data.resolution) != all_grey:
            raise ValueError(mixed_colour(all_grey))
        return image

    return Source(
        labels,
        names,
        train_pool=np.arange(n_train),
        val_pool=np.arange(n_train, n) if further else np.arange(n_train),
        read=reader(
            checked,
            lambda position: f"{name}: row {position}",
            mode="L" if all_grey else "RGB",
        ),
    )


def _columns(name: str, features: Any) -> tuple[str, str | None]:
    """Return the names of the image column and, if there is one, of the class column."""
    import datasets

    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    for kind, found in (("images", images), ("classes", classes)):
        if len(found) > 1:
            raise DataError(
                f"data.hub: {name} has {len(found)} columns of {kind} ({', '.join(found)}),"
                " expected at most one"
            )
    if not images:
        raise DataError(f"data.hub: {name} has no image column, only {', '.join(features)}")
    return images[0], classes[0] if classes else None


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


def opener(columns: Sequence[Any], where: str) -> Callable[[int], Image.Image]:
    """Return a function that opens the image at a position in concatenated columns.

    The columns are those of Arrow tables; their entries are structs with `bytes`.

    Raises:
        DataError: a column has another type; the message starts with `where`.
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
