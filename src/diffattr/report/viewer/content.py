"""What the viewer shows of a benchmark, and the checks that it fits together."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Label = int | str
Images = Mapping[str, Float[np.ndarray, "_ channel height width"]]
"""Each split's images, in [-1, 1] or 8-bit."""
LoadScores = Callable[[str, str], Float[np.ndarray, "query train"]]
"""(method, split) -> scores; called once for each, and not kept."""
Maps = Callable[[str, str, int, list[int]], Float[np.ndarray, "train height width"] | None]
"""(method, split, query, training positions) -> where in the query the method locates its reasons
for each of these training images, in [0, 1]; None for a method without maps."""


@dataclass(frozen=True)
class Method:
    """A method; `features` is its gradient pass and output function, None without gradients."""

    name: str
    needs: str
    features: str | None = None


@dataclass(frozen=True)
class Train:
    """The training images: positions in the data set or names, and classes if there are any."""

    ids: Sequence[int | str]
    labels: Sequence[Label] | None


@dataclass(frozen=True)
class Split:
    """The queries of one split.

    `words` names them in the plural ("held-out images"), `id_words` says what an id is ("image", or
    "noise number" for generated images). `methods` are those with scores here, in display order.
    `lds` holds each method's LDS of every query, `copies` the position of each query's copy in the
    training set; both are None where there are none.
    """

    name: str
    words: str
    methods: Sequence[str]
    ids: Sequence[int | str]
    labels: Sequence[Label] | None = None
    lds: Mapping[str, Sequence[float | None]] | None = None
    copies: Sequence[int] | None = None
    id_words: str = "image"


def check(methods: Sequence[Method], train: Train, splits: Sequence[Split], images: Images) -> None:
    """Check names and lengths.

    Raises:
        ValueError: a split's name cannot be part of an address, a split names an unknown method, or
            two things that should have one entry per image differ in length.
    """
    known = {method.name for method in methods}
    taken = {"train"}
    for split in splits:
        if not re.fullmatch(r"[A-Za-z0-9_]+", split.name) or split.name in taken:
            raise ValueError(
                f"split {split.name!r}: cannot be part of an address; use letters, digits and _,"
                " each name once and not 'train'"
            )
        taken.add(split.name)
        if unknown := [name for name in split.methods if name not in known]:
            raise ValueError(f"split {split.name}: method {unknown[0]!r} is not among `methods`")
        lengths: dict[str, Sequence[Any] | None] = {
            "labels": split.labels,
            "copies": split.copies,
            **{f"lds of {name}": (split.lds or {}).get(name) for name in split.methods},
        }
        _check_lengths(split.name, len(split.ids), lengths, images)
    _check_lengths("train", len(train.ids), {"labels": train.labels}, images)


def _check_lengths(
    split: str, expected: int, lengths: Mapping[str, Sequence[Any] | None], images: Images
) -> None:
    for what, values in {**lengths, "images": images[split]}.items():
        if values is not None and len(values) != expected:
            raise ValueError(f"split {split}: found {len(values)} {what}, expected {expected}")
