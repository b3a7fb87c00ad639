"""Queries drawn again by models trained without some images, and how far they moved."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from diffattr.artifacts import Arrays, ArtifactError, read_array, read_arrays, readable
from diffattr.config import EmbeddingOptions
from diffattr.features.embeddings import EMBEDDINGS, make


@dataclass(frozen=True)
class Outcome:
    """Some queries as drawn by some models, and their losses.

    `images` are their pixels, where samples are latents.
    """

    samples: Float32[np.ndarray, "query channel height width"]
    losses: Float32[np.ndarray, "query timestep"]
    images: UInt8[np.ndarray, "query channel height width"] | None = None


Embed = Callable[[Outcome], Float[np.ndarray, "query dim"]]
"""Turns the queries of an outcome into vectors."""


def read_original(
    samples: str | Path,
    losses: str | Path,
    images: str | Path | None,
    queries: Sequence[int],
    n_timesteps: int,
) -> Outcome:
    """Return some generated queries as the full model drew them, with its losses.

    `samples` and `images` are those of all generated queries, `losses` those of the chosen ones.

    Raises:
        ArtifactError: the losses belong to other queries, or are not finite numbers.
    """
    return Outcome(
        read_array(samples)[queries],
        _read_of(losses, queries, {"losses": (n_timesteps,)})["losses"],
        None if images is None else read_array(images)[queries],
    )


def read_outcomes(
    paths: Sequence[str | Path], n_seeds: int, blocks: Sequence[Sequence[int]], original: Outcome
) -> Iterator[Iterator[Outcome]]:
    """Yield, per removal, the outcome of each training seed, for the queries of all blocks.

    `paths` are in the order of removals, then seeds, then blocks; one outcome is read at a time,
    with arrays of the original's shapes.

    Raises:
        ArtifactError: a block is of other queries or images, or holds values that are not finite.
    """
    shapes = {name: array.shape[1:] for name, array in vars(original).items() if array is not None}

    def outcome(of_seed: Iterable[str]) -> Outcome:
        stored = [_read_of(*of_block, shapes) for of_block in zip(of_seed, blocks, strict=True)]
        return Outcome(**{name: np.concatenate([one[name] for one in stored]) for name in shapes})

    for of_removal in np.reshape(list(map(str, paths)), (-1, n_seeds, len(blocks))).tolist():
        yield map(outcome, of_removal)


def _read_of(
    path: str | Path, queries: Sequence[int], shapes: Mapping[str, tuple[int, ...]]
) -> Arrays:
    """Return arrays that hold one entry of a known shape for each of some queries."""
    stored = read_arrays(path)
    with readable(path, "evaluation of queries"):
        if stored.attribute("queries") != list(queries):
            raise ValueError(f"of queries {stored.attribute('queries')}, expected {list(queries)}")
        for name, shape in shapes.items():
            expected = (len(queries), *shape)
            if stored[name].shape != expected:
                raise ValueError(f"{name} of shape {stored[name].shape}, expected {expected}")
    for name in shapes:
        if not np.isfinite(stored[name]).all():
            raise ArtifactError(
                f"{path}: holds {name} that are not finite numbers: the training of its models"
                " diverged; lower training.learning_rate"
            )
    return stored


def pixel_distances(
    originals: Float[np.ndarray, "query channel height width"],
    redrawn: Float[np.ndarray, "query channel height width"],
) -> Float64[np.ndarray, " query"]:
    """Return the Euclidean norm of the difference of pixels in [-1, 1]."""
    difference = redrawn.astype(np.float64) - originals
    return np.linalg.norm(difference.reshape(len(difference), -1), axis=1)


def cosines(
    first: Float[np.ndarray, "query dim"], second: Float[np.ndarray, "query dim"]
) -> Float64[np.ndarray, " query"]:
    """Return the cosine of each pair of rows."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.einsum("qd,qd->q", first, second) / np.where(lengths == 0, 1, lengths)


def embeds(options: Mapping[str, EmbeddingOptions], **surroundings: Any) -> dict[str, Embed]:
    """Return each embedding as a function of an outcome.

    Those of the network see what it sees, others the pixels. `surroundings` are what
    `features.embeddings.make` takes beside the options.
    """

    def of(kind: EmbeddingOptions) -> Embed:
        embedding = make(kind, **surroundings)

        def embed(outcome: Outcome) -> Float[np.ndarray, "query dim"]:
            pixels = None if EMBEDDINGS[kind.kind].needs_network else outcome.images
            return embedding(outcome.samples if pixels is None else pixels)

        return embed

    return {name: of(kind) for name, kind in options.items()}


def moves(
    original: Outcome,
    removals: Iterable[Iterable[Outcome]],
    embeddings: Mapping[str, Embed],
) -> list[dict[str, Float64[np.ndarray, " query"]]]:
    """Return how far the queries moved under each removal, by measure: means over training seeds.

    Each removal has an outcome per seed. A cosine is that of the original's and the redrawn image's
    embedding: the lower, the further.
    """
    before = original.losses.mean(axis=1, dtype=np.float64)
    embedded = {name: embed(original) for name, embed in embeddings.items()}

    def moved(outcome: Outcome) -> dict[str, Float64[np.ndarray, " query"]]:
        return {
            "pixel-l2": pixel_distances(original.samples, outcome.samples),
            "loss-change": outcome.losses.mean(axis=1, dtype=np.float64) - before,
            **{
                f"{name}-cosine": cosines(embedded[name], embed(outcome))
                for name, embed in embeddings.items()
            },
        }

    found = []
    for outcomes in removals:
        per_seed = [moved(outcome) for outcome in outcomes]
        found.append({name: np.mean([m[name] for m in per_seed], axis=0) for name in per_seed[0]})
    return found
