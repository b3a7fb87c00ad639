"""Inner product and cosine against scipy's and a loop."""

import numpy as np
import pytest
from scipy.spatial import distance

from diffattr.attribution.similarity import Cosine, Dot


@pytest.fixture
def sides():
    generator = np.random.default_rng(0)
    return tuple(generator.normal(size=(n, 6)).astype(np.float32) for n in (7, 4))


def test_dot_is_the_sum_of_products(sides):
    train, queries = sides
    found = Dot(reads="pixels").scores(train, queries)
    assert found.dtype == np.float64
    for query in range(4):
        for image in range(7):
            expected = sum(float(queries[query, d]) * float(train[image, d]) for d in range(6))
            assert found[query, image] == pytest.approx(expected, abs=1e-14)


def test_cosine_is_one_minus_scipys_cosine_distance(sides):
    train, queries = (side.astype(np.float64) for side in sides)
    found = Cosine(reads="features").scores(train, queries)
    np.testing.assert_allclose(found, 1 - distance.cdist(queries, train, "cosine"), atol=1e-14)


def test_cosine_is_one_for_a_copy_of_any_length_and_minus_one_for_its_negative(sides):
    train, _ = sides
    np.testing.assert_allclose(
        np.diag(Cosine(reads="pixels").scores(train, 7 * train)), 1, atol=1e-12
    )
    np.testing.assert_allclose(
        np.diag(Cosine(reads="pixels").scores(train, -train)), -1, atol=1e-12
    )


def test_the_cosine_of_a_zero_row_is_zero(sides):
    train, queries = sides
    train[2] = 0
    found = Cosine(reads="features").scores(train, queries)
    assert (found[:, 2] == 0).all()
    assert np.isfinite(found).all()


def test_tiny_gradients_keep_their_direction():
    # In float32 the squares would underflow.
    train = np.array([[1e-30, 0], [0, 1e-30], [1e-30, 1e-30]], np.float32)
    found = Cosine(reads="features").scores(train, train[:1])
    np.testing.assert_allclose(found, [[1, 0, 0.5**0.5]], atol=1e-7)
