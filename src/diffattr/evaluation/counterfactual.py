"""The counterfactual test: train without a query's top images, draw the query again.

If a method is right, the image that the model makes from the same noise changes more, and its
denoising loss rises more, than after removing as many images at random. Removing opponents is a
control: the loss should fall.
Source: Zheng et al., "Intriguing properties of data attribution on diffusion models" (ICLR 2024),
sec. 5.3; the paired statistics are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from scipy.stats import binomtest, hypergeom

from diffattr import rng
from diffattr.artifacts import Arrays, ArtifactError, read_arrays, readable
from diffattr.config import Lds
from diffattr.data.removals import Removal
from diffattr.evaluation.bootstrap import interval

PIXELS, LOSS = "pixel-l2", "loss-change"


def removal_order(
    scores: Float[np.ndarray, "query train"],
) -> dict[str, Int64[np.ndarray, "query train"]]:
    """Return, per query, the training images by falling scores and by rising ones.

    A removal of any size is the beginning of such an order. Ties go by position.
    """
    return {
        "proponents": np.argsort(-scores, axis=1, kind="stable"),
        "opponents": np.argsort(scores, axis=1, kind="stable"),
    }


def overlap(
    first: Int64[np.ndarray, "query n"], second: Int64[np.ndarray, "query n"]
) -> Float64[np.ndarray, " query"]:
    """Return the Jaccard overlap |A and B| / |A or B| of two removal lists, per query."""
    shared = np.array(
        [len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)], dtype=np.float64
    )
    return shared / (2 * first.shape[1] - shared)


def chance_overlap(n: int, n_train: int) -> float:
    """Return the expected Jaccard overlap of two random lists of n out of n_train images.

    The number of shared images is hypergeometric.
    """
    shared = np.arange(max(0, 2 * n - n_train), n + 1)
    probability = hypergeom.pmf(shared, n_train, n, n)
    return float((probability * shared / (2 * n - shared)).sum())


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


def summary(
    values: Float64[np.ndarray, " query"],
    control: Float64[np.ndarray, " query"] | None,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Return mean and median over queries with an interval, and how they compare with a control.

    Intervals are by bootstrap over queries, the same draws for every method. The sign test asks
    whether more queries are above the control than below it; equal ones are left out.
    """
    generator = rng.generator(seed, "bootstrap", "counterfactual")
    rows = generator.integers(len(values), size=(n_resamples, len(values)))
    mean = float(values.mean())
    found: dict[str, Any] = {
        "mean": mean,
        "median": float(np.median(values)),
        "interval": interval(mean, values[rows].mean(axis=1), confidence),
    }
    if control is None:
        return {**found, "versus_random": None}
    difference = values - control
    n_higher, n_lower = int((difference > 0).sum()), int((difference < 0).sum())
    n_decided = n_higher + n_lower
    mean_difference = float(difference.mean())
    return {
        **found,
        "versus_random": {
            "difference": mean_difference,
            "median_difference": float(np.median(difference)),
            "interval": interval(mean_difference, difference[rows].mean(axis=1), confidence),
            "n_higher": n_higher,
            "n_lower": n_lower,
            "sign_test_p": float(binomtest(n_higher, n_decided).pvalue) if n_decided else 1.0,
        },
    }


@dataclass(frozen=True)
class Outcome:
    """Some queries as models drew them that were trained without some images, and their losses.

    `pictures` are their pixels, where the images are latents.
    """

    images: Float32[np.ndarray, "query channel height width"]
    losses: Float32[np.ndarray, "query timestep"]
    pictures: UInt8[np.ndarray, "query channel height width"] | None = None


def of_outcomes(
    embedding: Callable[[Any], Float[np.ndarray, "query dim"]], *, of_pictures: bool
) -> Callable[[Outcome], Float[np.ndarray, "query dim"]]:
    """Return an embedding as a function of an outcome: of its pictures, if any, or images."""

    def embedded(outcome: Outcome) -> Float[np.ndarray, "query dim"]:
        pictures = outcome.pictures if of_pictures else None
        return embedding(outcome.images if pictures is None else pictures)

    return embedded


def read_outcome(
    paths: Sequence[str | Path], blocks: Sequence[Sequence[int]], original: Outcome
) -> Outcome:
    """Return the outcome for the queries of all blocks, of arrays like the original's.

    Raises:
        ArtifactError: a block is of other queries or images, or holds what is no number.
    """
    shapes = {name: array.shape[1:] for name, array in vars(original).items() if array is not None}
    stored = [_read_of(path, block, shapes) for path, block in zip(paths, blocks, strict=True)]
    return Outcome(**{name: np.concatenate([read[name] for read in stored]) for name in shapes})


def read_originals(
    path: str | Path, queries: Sequence[int], n_timesteps: int
) -> Float32[np.ndarray, "query timestep"]:
    """Return the losses of the full model on these queries.

    Raises:
        ArtifactError: they are of others, or hold what is no number.
    """
    return _read_of(path, queries, {"losses": (n_timesteps,)})["losses"]


def _read_of(
    path: str | Path, queries: Sequence[int], shapes: Mapping[str, tuple[int, ...]]
) -> Arrays:
    """Return arrays that hold one entry of a known shape for each of some queries."""
    stored = read_arrays(path)
    values = {name: stored[name] for name in shapes}
    with readable(path, "evaluation of queries"):
        if stored.attribute("queries") != list(queries):
            raise ValueError(f"of queries {stored.attribute('queries')}, expected {list(queries)}")
        for name, shape in shapes.items():
            expected = (len(queries), *shape)
            if values[name].shape != expected:
                raise ValueError(f"{name} of shape {values[name].shape}, expected {expected}")
    for name in shapes:
        if not np.isfinite(values[name]).all():
            raise ArtifactError(
                f"{path}: holds {name} that are not finite numbers: the training of its models"
                " diverged; lower training.learning_rate"
            )
    return stored


def moved(
    original: Outcome,
    outcomes: Sequence[Outcome],
    embeddings: Mapping[str, Callable[[Outcome], Float[np.ndarray, "query dim"]]],
    embedded: Mapping[str, Float[np.ndarray, "query dim"]],
) -> dict[str, Float64[np.ndarray, " query"]]:
    """Return how far the queries moved under one removal, by measure, mean over training seeds.

    There is an outcome of each seed; `embeddings` turn one into vectors, and `embedded` are
    those of the original. A cosine is that of the original's and the redrawn image's embedding: the
    lower, the further.
    """
    before = original.losses.mean(axis=1, dtype=np.float64)
    per_seed = [
        {
            PIXELS: pixel_distances(original.images, outcome.images),
            LOSS: outcome.losses.mean(axis=1, dtype=np.float64) - before,
            **{
                f"{name}-cosine": cosines(embedded[name], embed(outcome))
                for name, embed in embeddings.items()
            },
        }
        for outcome in outcomes
    ]
    return {name: np.mean([found[name] for found in per_seed], axis=0) for name in per_seed[0]}


def compared(
    removals: Sequence[Removal],
    measures: Sequence[Mapping[str, Float64[np.ndarray, " query"]]],
    control: str,
    options: Lds,
    seed: int,
) -> list[dict[str, Any]]:
    """Return what each removal did, held against removing as many images at random.

    `measures` are those of `moved`, one per removal; `control` is the random method.
    """
    random = {
        removal.fraction: found
        for removal, found in zip(removals, measures, strict=True)
        if removal.method == control and removal.side == "proponents"
    }
    return [
        {
            "method": removal.method,
            "side": removal.side,
            "fraction": removal.fraction,
            "measures": {
                name: {
                    "per_query": values.tolist(),
                    **summary(
                        values,
                        None if removal.method == control else random[removal.fraction][name],
                        options.resamples,
                        options.confidence,
                        seed,
                    ),
                }
                for name, values in found.items()
            },
        }
        for removal, found in zip(removals, measures, strict=True)
    ]


def overlaps(
    removed: Mapping[str, Int64[np.ndarray, "query n"]], sizes: Mapping[float, int], n_train: int
) -> list[dict[str, Any]]:
    """Return the mean overlap of every pair of methods' proponents, for every size of removal."""
    names: Sequence[str] = list(removed)
    return [
        {
            "fraction": fraction,
            "first": names[i],
            "second": names[j],
            "jaccard": float(overlap(removed[names[i]][:, :n], removed[names[j]][:, :n]).mean()),
            "chance": chance_overlap(n, n_train),
        }
        for fraction, n in sizes.items()
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
