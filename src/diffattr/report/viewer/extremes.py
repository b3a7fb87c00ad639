"""The training images at either end of a method's scores: proponents, then opponents."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from diffattr.evaluation.planted import planted_truth
from diffattr.report import pictures
from diffattr.report.viewer.content import LoadScores, Maps, Split


@dataclass(frozen=True)
class Extremes:
    """One method's proponents on one split, then as many opponents.

    `ranks` are those of the queries' copies, None where queries have none; `maps` holds each
    query's, with a level from 0 to 255 in each cell, None where the method has none.
    """

    positions: Int64[np.ndarray, "query twice_top"]
    scores: Float[np.ndarray, "query twice_top"]
    ranks: list[int] | None
    maps: list[UInt8[np.ndarray, "twice_top height width"] | None]


def extremes_of(
    split: Split, method: str, n_train: int, load_scores: LoadScores, maps: Maps | None, top: int
) -> Extremes:
    """Return the `top` training images at either end, for every query of a split.

    Raises:
        ValueError: scores have another shape than (query, train), or one is not finite; or maps
            have the wrong shape, or values outside [0, 1].
    """
    scores = load_scores(method, split.name)
    where = f"scores of {method} on {split.name}"
    if scores.shape != (len(split.ids), n_train):
        raise ValueError(
            f"{where}: found shape {scores.shape}, expected {(len(split.ids), n_train)}"
        )
    if (bad := np.flatnonzero(~np.isfinite(scores).all(axis=1))).size:
        raise ValueError(f"{where}: query {bad[0]} has one that is NaN or infinite")
    positions = np.concatenate([highest(scores, top), highest(-scores, top)], axis=1)
    ranks = None
    if split.copies is not None:
        ranks = list(planted_truth(scores, np.array(split.copies, np.int64)).ranks)
    levels = [
        None if maps is None else _map_levels(maps, method, split.name, query, row.tolist())
        for query, row in enumerate(positions)
    ]
    return Extremes(positions, np.take_along_axis(scores, positions, axis=1), ranks, levels)


def highest(scores: Float[np.ndarray, "query train"], count: int) -> Int64[np.ndarray, "query _"]:
    """Return (query, count) positions, highest score first, the earlier position first in a tie.

    The first `count` of a stable argsort, without sorting the rest.
    """
    count = min(count, scores.shape[1])
    least = np.partition(scores, -count, axis=1)[:, -count]
    rows = []
    for row, bound in zip(scores, least, strict=True):
        candidates = np.flatnonzero(row >= bound)
        rows.append(candidates[np.argsort(-row[candidates], kind="stable")][:count])
    return np.array(rows, np.int64).reshape(len(scores), count)


def _map_levels(
    maps: Maps, method: str, split: str, query: int, positions: list[int]
) -> UInt8[np.ndarray, "twice_top height width"] | None:
    found = maps(method, split, query, positions)
    if found is None:
        return None
    where = f"maps of {method} on {split}, query {query}"
    if found.ndim != 3 or len(found) != len(positions):
        raise ValueError(
            f"{where}: found shape {found.shape}, expected ({len(positions)}, height, width)"
        )
    if max(found.shape[1:]) > pictures.LARGEST_SIDE:
        raise ValueError(
            f"{where}: found {found.shape[1]} x {found.shape[2]}, allowed are up to"
            f" {pictures.LARGEST_SIDE} cells a side; average them"
        )
    # Written this way round, NaN is refused too.
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"{where}: a value is not in [0, 1]")
    return (found * 255).round().astype(np.uint8)
