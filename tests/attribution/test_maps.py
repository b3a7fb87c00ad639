"""The report's maps are those of the images that it shows."""

import numpy as np

from diffattr.attribution.nda import Nda


def test_maps_belong_to_the_highest_and_the_lowest_and_add_up_to_their_scores():
    generator = np.random.default_rng(0)
    train = generator.uniform(-1, 1, (9, 1, 6, 6)).astype(np.float32)
    queries = generator.uniform(-1, 1, (4, 1, 6, 6)).astype(np.float32)
    method = Nda(patch=3)
    scores = method.scores_of_images(train, queries, 0.8)
    positions, maps = method.top_maps(train, queries, scores, 3, 0.8)
    assert positions.shape == (4, 6)
    assert maps.shape == (4, 6, 6, 6)
    for query in range(4):
        ranked = sorted(range(9), key=lambda n: -scores[query, n])
        assert positions[query].tolist() == ranked[:3] + ranked[::-1][:3]
        # Maps are float32.
        sums = maps[query].sum(axis=(1, 2))
        np.testing.assert_allclose(sums, scores[query, positions[query]], rtol=1e-5)


def test_a_small_training_set_is_shown_whole():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 4, 4)).astype(np.float32)
    scores = np.array([[0.5, 0.5]])
    positions, maps = Nda(patch=3).top_maps(images, images[:1], scores, 5, 0.8)
    assert positions.tolist() == [[0, 1, 0, 1]]
    assert maps.shape == (1, 4, 4, 4)
