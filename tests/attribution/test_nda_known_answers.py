"""Attribution by patches where the answer is known, or must stay the same."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import uniform_images as images

from diffattr.attribution import nda
from diffattr.attribution.nda import Nda
from diffattr.evaluation.planted import planted_truth


def textures(n, side, seed):
    """Images of one length, with pixels of +1 and -1."""
    generator = np.random.default_rng(seed)
    return generator.choice([-1.0, 1.0], size=(n, 1, side, side)).astype(np.float32)


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize(
    "options", [{}, {"patch": 3}, {"coarse_patch": 14}, {"patch": 5, "coarse_patch": 6}]
)
def test_a_query_s_own_copy_is_its_top_proponent(side, options):
    train = textures(30, side, seed=2)
    copies = np.array([4, 0, 29, 11])
    scores = Nda(**options).scores_of_images(train, train[copies], abar=0.9)
    assert planted_truth(scores, copies).recall_at_1 == 1


@pytest.mark.parametrize("options", [{}, {"coarse_patch": 10}, {"draws": 3}, {"patch": 7}])
def test_halves_of_two_images_are_explained_by_these_two_each_on_its_half(options):
    # At this noise a patch of 25 numbers is mistaken for no other; one of 9 now and then.
    train = images(20, 1, 12, 12, seed=3)
    query = train[7].copy()
    query[:, :, 6:] = train[13][:, :, 6:]
    method = Nda(**{"patch": 5, **options})
    scores = method.scores_of_images(train, query[None], abar=0.9)[0]
    assert set(np.argsort(-scores)[:2]) == {7, 13}
    left, right = method.maps(train, query, [7, 13], abar=0.9)
    # Beyond two columns from the seam, patches are whole; pixels at a border have fewer coarse
    # patches around them.
    assert left[:, :4].mean() > 0.85
    assert right[:, 8:].mean() > 0.85
    assert left[:, 8:].mean() < 0.02
    assert right[:, :4].mean() < 0.02


def test_a_shifted_copy_is_found_at_another_place_away_from_borders():
    train, query = images(20, 1, 12, 12, seed=4), images(1, 1, 12, 12, seed=5)
    query[0, :, 2:, 3:] = train[9][:, :-2, :-3]
    method = Nda(patch=5)
    assert np.argmax(method.scores_of_images(train, query, abar=0.95)[0]) == 9
    explained = method.maps(train, query[0], [9], abar=0.95)[0]
    # Patches that lie within the copy, in the query and in the training image; those that reach
    # over a border lie elsewhere relative to the training image's.
    assert explained[4:10, 5:10].mean() > 0.99
    assert explained[:4].mean() < 0.2
    assert explained[10:].mean() < 0.2


@pytest.mark.parametrize("options", [{"patch": 3}, {"patch": 3, "coarse_patch": 4, "draws": 2}])
def test_order_and_company_do_not_matter(options):
    method = Nda(**options, top=4)
    train, queries = images(9, 2, 6, 7, seed=0), images(5, 2, 6, 7, seed=1)
    expected = method.scores_of_images(train, queries, abar=0.8)
    order, train_order = np.random.default_rng(2).permutation(5), [4, 8, 0, 7, 2, 6, 1, 3, 5]
    again = method.scores_of_images(train[train_order], queries[order], abar=0.8)
    # 1e-12: rounding of the same sums in blocks of another shape, here and below.
    np.testing.assert_allclose(again, expected[order][:, train_order], rtol=1e-12)
    for number in range(5):
        alone = method.scores_of_images(train, queries[[number]], abar=0.8)[0]
        np.testing.assert_allclose(alone, expected[number], rtol=1e-12)
        maps = method.maps(train, queries[number], [3, 8], abar=0.8)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), expected[number, [3, 8]], rtol=1e-12)
    assert np.unique(expected).size == expected.size


@pytest.mark.parametrize("floats", [1, 60, 300, 5000])
def test_the_size_of_blocks_does_not_matter(floats, monkeypatch):
    method = Nda(patch=3, top=4, coarse_patch=4)
    train, queries = images(9, 2, 6, 7, seed=0), images(5, 2, 6, 7, seed=1)
    expected = method.scores_of_images(train, queries, abar=0.8)
    expected_maps = method.maps(train, queries[2], [3, 8], abar=0.8)
    monkeypatch.setattr(nda, "FLOATS", floats)
    found = method.scores_of_images(train, queries, abar=0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found_maps = method.maps(train, queries[2], [3, 8], abar=0.8)
    np.testing.assert_allclose(found_maps, expected_maps, rtol=1e-12)


@pytest.mark.parametrize(("n_train", "n_queries"), [(30, 30), (30, 240), (240, 30)])
def test_memory_is_that_of_the_images_and_a_few_blocks(n_train, n_queries, monkeypatch):
    method = Nda(patch=5)
    train, queries = images(n_train, 1, 16, 16, seed=0), images(n_queries, 1, 16, 16, seed=1)
    monkeypatch.setattr(nda, "FLOATS", 20_000)
    tracemalloc.start()
    method.scores_of_images(train, queries, abar=0.8)
    peak = tracemalloc.get_traced_memory()[1] / 8
    tracemalloc.stop()
    # All patches would be 25 times the images, all distances more than 200 times these.
    padded = (n_train + n_queries) * 20 * 20
    assert peak < 8 * 20_000 + 3 * padded + n_train * n_queries


def test_alpha_chooses_between_the_scales():
    train, queries = images(6, 1, 8, 8, seed=0), images(3, 1, 8, 8, seed=1)

    def scores(**options):
        return Nda(patch=3, top=5, **options).scores_of_images(train, queries, abar=0.8)

    fine, coarse = scores(), scores(coarse_patch=6, alpha=0.0)
    assert np.array_equal(scores(coarse_patch=6, alpha=1.0), fine)
    assert not np.allclose(coarse, fine, rtol=0.01)
    np.testing.assert_allclose(
        scores(coarse_patch=6, alpha=0.25), 0.25 * fine + 0.75 * coarse, rtol=1e-12
    )
    # The coarse scale does not depend on the fine patch.
    other = Nda(patch=5, top=5, coarse_patch=6, alpha=0.0)
    assert np.array_equal(other.scores_of_images(train, queries, abar=0.8), coarse)


def test_a_coarse_patch_sees_the_mean_of_four_pixels_and_nothing_finer():
    # Images of four pixels have one coarse place.
    train, query = images(5, 1, 2, 2, seed=0), images(1, 1, 2, 2, seed=1)
    same_mean = train + np.float32([[0.25, -0.25], [-0.5, 0.5]])

    def scores(train, **options):
        return Nda(**options).scores_of_images(train, query, abar=0.8)

    coarse = {"coarse_patch": 2, "alpha": 0.0}
    # 1e-6: images are float32.
    np.testing.assert_allclose(scores(same_mean, **coarse), scores(train, **coarse), rtol=1e-6)
    assert not np.isclose(scores(same_mean), scores(train), rtol=1e-2).any()
    brighter = train + np.float32([0, 0, 0.1, 0, 0])[:, None, None, None]
    assert not np.isclose(scores(brighter, **coarse), scores(train, **coarse), rtol=1e-2).any()


def test_the_noise_is_the_query_s_and_the_timestep_s():
    train, queries = images(4, 1, 6, 6, seed=0), images(2, 1, 6, 6, seed=1)
    same = np.concatenate([queries, queries[:1]])
    scores = Nda(patch=3).scores_of_images(train, same, abar=0.5)
    np.testing.assert_allclose(scores[2], scores[0], rtol=1e-12)
    later = Nda(patch=3, timestep=101).scores_of_images(train, same, abar=0.5)
    assert not np.isclose(scores, later, rtol=1e-6).any()
    # Had two queries next to each other the same noise, their scores would differ as little.
    near = queries[:1] + np.float32(1e-4)
    other = Nda(patch=3).scores_of_images(train, near, abar=0.5)
    assert not np.isclose(other[0], scores[0], rtol=1e-3).any()


def test_a_nearly_noiseless_query_is_explained_by_its_copy_alone():
    train = images(6, 3, 8, 8, seed=0)
    scores = Nda(timestep=0).scores_of_images(train, train[[3]], abar=1 - 1e-7)[0]
    np.testing.assert_allclose(scores, 64 * (np.arange(6) == 3), atol=1e-9)


def test_a_duplicated_training_image_scores_the_same_twice():
    train, queries = images(6, 1, 8, 8, seed=0), images(3, 1, 8, 8, seed=1)
    train[5] = train[2]
    scores = Nda(patch=3, coarse_patch=6).scores_of_images(train, queries, abar=0.8)
    np.testing.assert_allclose(scores[:, 5], scores[:, 2], rtol=1e-12)


def test_inputs_are_left_as_they_were_and_need_not_be_contiguous():
    train, queries = images(6, 2, 8, 8, seed=0), images(3, 2, 8, 8, seed=1)
    copies = train.copy(), queries.copy()
    method = Nda(patch=3, coarse_patch=4)
    expected = method.scores_of_images(train, queries, abar=0.8)
    assert np.array_equal(train, copies[0])
    assert np.array_equal(queries, copies[1])
    found = method.scores_of_images(np.asfortranarray(train), np.asfortranarray(queries), abar=0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 3),
    height=st.integers(2, 7),
    width=st.integers(2, 7),
    patch=st.sampled_from([1, 3, 5, 11]),
    coarse_patch=st.sampled_from([None, 2, 4, 12]),
    abar=st.floats(1e-4, 1 - 1e-4),
    top=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_weights_are_shares_of_which_more_places_keep_more(
    channels, height, width, patch, coarse_patch, abar, top, seed
):
    train = images(4, channels, height, width, seed)
    queries = images(2, channels, height, width, seed + 1)
    options = {"patch": patch, "coarse_patch": coarse_patch, "alpha": 0.75}
    scores = {
        k: Nda(**options, top=k).scores_of_images(train, queries, abar)
        for k in (top, top + 1, height * width, None)
    }
    for found in scores.values():
        assert found.min() >= 0
    whole = scores[None]
    n_coarse = (height - 1) * (width - 1)
    n_patches = height * width if coarse_patch is None else 0.75 * height * width + 0.25 * n_coarse
    np.testing.assert_allclose(whole.sum(axis=1), n_patches, rtol=1e-12)
    np.testing.assert_allclose(scores[height * width], whole, rtol=1e-12)
    # Rounding may turn round what is the same.
    assert (scores[top] <= scores[top + 1] * (1 + 1e-12)).all()
    assert (scores[top + 1] <= whole * (1 + 1e-12)).all()
    # The K largest of P weights are at least K / P of their sum.
    assert (scores[top] * height * width >= min(top, height * width) * whole * (1 - 1e-12)).all()
    maps = Nda(**options, top=top).maps(train, queries[1], [0, 3], abar)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), scores[top][1, [0, 3]], rtol=1e-11)
