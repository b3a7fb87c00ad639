"""Redrawn queries: distances against loops and scipy, means over seeds by hand."""

import numpy as np
import pytest

from diffattr.artifacts import write_arrays
from diffattr.config import EmbeddingOptions
from diffattr.counterfactual import outcomes
from diffattr.counterfactual.outcomes import (
    Outcome,
    cosines,
    embeds,
    moves,
    pixel_distances,
    read_outcomes,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_distances_equal_loops():
    first, second = generator().normal(size=(2, 4, 3, 2, 2)).astype(np.float32)
    found = pixel_distances(first, second)
    for a, b, distance in zip(first, second, found, strict=True):
        squares = sum((float(x) - float(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True))
        assert distance == pytest.approx(squares**0.5, rel=1e-6)
    assert not pixel_distances(first, first).any()


def test_cosines_equal_scipy_and_are_zero_for_a_zero_row():
    from scipy.spatial.distance import cosine

    first, second = generator().normal(size=(2, 4, 5))
    first[2] = 0
    found = cosines(first, second)
    for row in (0, 1, 3):
        assert found[row] == pytest.approx(1 - cosine(first[row], second[row]), rel=1e-12)
    assert found[2] == 0


def test_moves_are_means_over_seeds_of_blocks_put_together(tmp_path):
    draws = generator()
    originals = draws.normal(size=(5, 1, 2, 2)).astype(np.float32)
    own = draws.random((5, 3)).astype(np.float32)
    images = draws.normal(size=(2, 5, 1, 2, 2)).astype(np.float32)
    losses = draws.random((2, 5, 3)).astype(np.float32)
    original = Outcome(originals, own)
    blocks, paths = [[0, 1, 2], [3, 4]], []
    for seed in range(2):
        for block in blocks:
            paths.append(tmp_path / f"{seed}-{block[0]}.zarr.zip")
            stored = {"samples": images[seed, block], "losses": losses[seed, block]}
            write_arrays(paths[-1], stored, {"queries": block})
    # Under a second removal nothing moved, with either seed.
    same = [tmp_path / f"same-{block[0]}.zarr.zip" for block in blocks]
    for path, block in zip(same, blocks, strict=True):
        stored = {"samples": originals[block], "losses": own[block]}
        write_arrays(path, stored, {"queries": block})
    paths += [*same, *same]

    embeddings = {"flat": lambda outcome: outcome.samples.reshape(len(outcome.samples), -1)}
    found, still = moves(original, read_outcomes(paths, 2, blocks, original), embeddings)
    assert not still["pixel-l2"].any()
    assert not still["loss-change"].any()
    assert found.keys() == {"pixel-l2", "loss-change", "flat-cosine"}
    for query in range(5):
        distances = [np.linalg.norm(images[s, query] - originals[query]) for s in range(2)]
        assert found["pixel-l2"][query] == pytest.approx(np.mean(distances), rel=1e-6)
        changes = [losses[s, query].mean() - own[query].mean() for s in range(2)]
        cosines_by_hand = [
            np.dot(images[s, query].ravel(), originals[query].ravel())
            / np.linalg.norm(images[s, query])
            / np.linalg.norm(originals[query])
            for s in range(2)
        ]
        assert found["flat-cosine"][query] == pytest.approx(np.mean(cosines_by_hand), rel=1e-5)
        assert found["loss-change"][query] == pytest.approx(np.mean(changes), rel=1e-5, abs=1e-7)


def test_embeddings_of_the_network_see_latents_and_others_see_pictures(monkeypatch):
    latents = generator(1).normal(size=(2, 1, 2, 2)).astype(np.float32)
    pictures = generator(2).integers(0, 256, (2, 1, 2, 2)).astype(np.uint8)
    seen = {}

    def make(options, *, seed):
        def embedding(images):
            seen[options.kind, seed] = images
            return images.reshape(len(images), -1).astype(np.float32)

        return embedding

    monkeypatch.setattr(outcomes, "make", make)
    made = embeds(
        {"a": EmbeddingOptions(kind="bottleneck"), "b": EmbeddingOptions(kind="clip")}, seed=7
    )
    losses = np.zeros((2, 3), np.float32)
    for embed in made.values():
        embed(Outcome(latents, losses, pictures))
    assert seen["bottleneck", 7] is latents
    assert seen["clip", 7] is pictures
    # Where images are pixels there are no pictures beside them.
    embeds({"b": EmbeddingOptions(kind="clip")}, seed=8)["b"](Outcome(latents, losses))
    assert seen["clip", 8] is latents
