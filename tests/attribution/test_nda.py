"""Attribution by patches against its formula in loops, and where the answer is known."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr import rng
from diffattr.attribution import nda
from diffattr.attribution.method import with_options
from diffattr.attribution.nda import Nda
from diffattr.config import ConfigError
from diffattr.evaluation.planted import planted_truth


def images(n, channels, height, width, seed):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, size=(n, channels, height, width)).astype(np.float32)


def textures(n, side, seed):
    """Images of one length, with pixels of +1 and -1."""
    generator = np.random.default_rng(seed)
    return generator.choice([-1.0, 1.0], size=(n, 1, side, side)).astype(np.float32)


def noised(query, timestep, abar, draw):
    noise = rng.Stream("nda", query.tobytes().hex()).normal(0, timestep, draw, query.shape)
    return math.sqrt(abar) * query.astype(float) + math.sqrt(1 - abar) * noise.astype(float)


def offsets_of(side):
    """Rows (or columns) of a patch relative to its place; even sides have one more behind."""
    return range(-((side - 1) // 2), side // 2 + 1)


def value(image, channel, row, column, outside):
    inside = 0 <= row < image.shape[1] and 0 <= column < image.shape[2]
    return float(image[channel, row, column]) if inside else outside


def squared_distance(x, place, y, other, side, coarse, outside):
    """Between the patch of x at one place and that of y at another, entry by entry."""
    total = 0.0
    for channel in range(x.shape[0]):
        differences = {
            (down, right): value(x, channel, place[0] + down, place[1] + right, outside)
            - value(y, channel, other[0] + down, other[1] + right, outside)
            for down in offsets_of(side)
            for right in offsets_of(side)
        }
        if coarse:
            corners = offsets_of(side)[::2]
            differences = {
                (down, right): 2
                * sum(differences[down + i, right + j] for i in (0, 1) for j in (0, 1))
                / 4
                for down in corners
                for right in corners
            }
        total += sum(difference**2 for difference in differences.values())
    return total


def inside(place, side, height, width):
    return {
        (down, right)
        for down in offsets_of(side)
        for right in offsets_of(side)
        if 0 <= place[0] + down < height and 0 <= place[1] + right < width
    }


def by_hand(train, query, timestep, abar, side, top, coarse=False, draw=0, outside=None):
    """The summed top weights (row, column, train) of one scale, in float64 loops.

    With `outside`, pixels outside have that value and all places are compared, as in the released
    code; without it, only places with the same pixels inside.
    """
    height, width = query.shape[1:]
    fewer = 1 if coarse else 0
    places = [(i, j) for i in range(height - fewer) for j in range(width - fewer)]
    x = noised(query, timestep, abar, draw)
    result = np.zeros((height - fewer, width - fewer, len(train)))
    for place in places:
        logits = []
        for image in train:
            y = math.sqrt(abar) * image.astype(float)
            logits.append(
                [
                    -squared_distance(x, place, y, other, side, coarse, outside or 0.0)
                    / (2 * (1 - abar))
                    for other in places
                    if outside
                    or inside(place, side, height, width) == inside(other, side, height, width)
                ]
            )
        largest = max(max(of_image) for of_image in logits)
        total = sum(math.exp(logit - largest) for of_image in logits for logit in of_image)
        for number, of_image in enumerate(logits):
            kept = sorted(of_image, reverse=True)[:top]
            result[place][number] = sum(math.exp(logit - largest) for logit in kept) / total
    return result


def at_pixels(weights):
    """Weights (row, column, train) of coarse patches, given to the pixels around their centres."""
    spread = np.zeros((weights.shape[0] + 1, weights.shape[1] + 1, weights.shape[2]))
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            for i in (0, 1):
                for j in (0, 1):
                    spread[row + i, column + j] += weights[row, column] / 4
    return spread


# abar, options, (channels, height, width)
FINE = [
    (0.9, {"patch": 3, "top": 2}, (1, 5, 5)),
    (0.9, {"patch": 3, "top": None}, (2, 4, 6)),
    (0.5, {"patch": 3, "top": 3}, (3, 6, 4)),
    (0.05, {"patch": 5, "top": 2, "timestep": 500}, (1, 7, 6)),
    (0.999, {"patch": 1, "top": 1, "timestep": 3}, (2, 3, 4)),
    (0.7, {"patch": 9, "top": 100}, (1, 4, 6)),
]
COARSE = [
    (0.9, {"patch": 3, "coarse_patch": 4, "alpha": 0.0, "top": 2}, (1, 6, 5)),
    (0.5, {"patch": 3, "coarse_patch": 2, "alpha": 0.0, "top": 3}, (2, 4, 6)),
    (0.2, {"patch": 3, "coarse_patch": 6, "alpha": 0.0, "top": 2}, (1, 7, 7)),
    (0.7, {"patch": 3, "coarse_patch": 10, "alpha": 0.0, "top": None}, (1, 5, 4)),
]


@pytest.mark.parametrize(("abar", "options", "shape"), FINE + COARSE)
def test_scores_and_maps_are_those_of_the_formula(abar, options, shape):
    method = Nda(**options)
    train, queries = images(3, *shape, seed=0), images(2, *shape, seed=1)
    # A query near a training image, so that weights are not all alike.
    queries[0] = np.clip(train[1] + 0.3 * queries[0], -1, 1)
    found = method.scores_of_images(train, queries, abar)
    assert found.dtype == np.float64
    coarse = method.coarse_patch is not None
    side = method.coarse_patch or method.patch
    for number, query in enumerate(queries):
        expected = by_hand(train, query, method.timestep, abar, side, method.top, coarse)
        # 1e-9: the same float64 sums in another order; -|x - y|^2 / (2 (1 - abar)) is a difference
        # of numbers below 1e4.
        np.testing.assert_allclose(found[number], expected.sum(axis=(0, 1)), rtol=1e-9, atol=1e-12)
        maps = method.maps(train, query, [2, 0, 1], abar)
        expected = at_pixels(expected) if coarse else expected
        np.testing.assert_allclose(
            maps, expected[:, :, [2, 0, 1]].transpose(2, 0, 1), rtol=1e-9, atol=1e-12
        )


def test_two_scales_and_two_noises_are_the_mean_of_each():
    train, queries = images(3, 2, 4, 5, seed=0), images(2, 2, 4, 5, seed=1)
    method = Nda(timestep=200, patch=3, coarse_patch=4, alpha=0.3, top=2, draws=2)
    found = method.scores_of_images(train, queries, 0.6)
    for number, query in enumerate(queries):
        expected = np.zeros((4, 5, 3))
        for draw in (0, 1):
            fine = by_hand(train, query, 200, 0.6, 3, 2, draw=draw)
            coarse = by_hand(train, query, 200, 0.6, 4, 2, coarse=True, draw=draw)
            expected += (0.3 * fine + 0.7 * at_pixels(coarse)) / 2
        np.testing.assert_allclose(found[number], expected.sum(axis=(0, 1)), rtol=1e-9)
        maps = method.maps(train, query, [0, 1, 2], 0.6)
        np.testing.assert_allclose(maps, expected.transpose(2, 0, 1), rtol=1e-9)


@pytest.mark.parametrize(
    ("side", "coarse", "abar"), [(3, False, 0.9), (3, False, 0.08), (4, True, 0.9)]
)
def test_pixels_of_value_10_outside_the_image_make_no_difference(side, coarse, abar):
    # The released code's border. It is the same to 1e-9 because 10 is far from any pixel, noised or
    # not: the nearest patch at another border is farther by at least 2 pixels.
    train, query = images(3, 1, 5, 6, seed=0), images(1, 1, 5, 6, seed=1)
    options = {"coarse_patch": side, "alpha": 0.0} if coarse else {"patch": side}
    found = Nda(**options, top=2).scores_of_images(train, query, abar)[0]
    released = by_hand(train, query[0], 100, abar, side, 2, coarse, outside=10.0)
    np.testing.assert_allclose(found, released.sum(axis=(0, 1)), rtol=1e-9)


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


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patch": 4}, "patch: found 4, allowed: odd numbers"),
        ({"patch": -1}, "patch: found -1, allowed: odd numbers"),
        ({"coarse_patch": 7}, "coarse_patch: found 7, allowed: even numbers"),
        ({"coarse_patch": 0}, "coarse_patch: found 0, allowed: even numbers"),
        ({"top": 0}, "top: found 0, allowed: at least 1"),
        ({"timestep": -1}, "timestep: found -1, allowed: at least 0"),
        ({"alpha": 1.5}, "alpha: found 1.5, allowed: 0 to 1"),
        ({"alpha": float("nan")}, "alpha: found nan, allowed: 0 to 1"),
        ({"draws": 0}, "draws: found 0, allowed: at least 1"),
        ({"patch": "all"}, "patch: found 'all': Expected `int`, got `str`"),
        ({"patch": None}, "patch: found None: Expected `int`, got `null`"),
        (
            {"scales": 2},
            "scales: unknown option (known here: alpha, coarse_patch, draws, patch, timestep, top)",
        ),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(ConfigError) as caught:
        with_options(Nda(), options)
    assert str(caught.value) == sentence


def test_options_that_may_be_none_can_be_set_and_unset():
    method = with_options(Nda(), {"coarse_patch": 14, "top": None, "alpha": 1})
    assert (method.coarse_patch, method.top, method.alpha) == (14, None, 1.0)
    assert with_options(method, {"coarse_patch": None, "top": 10}) == Nda(alpha=1.0, top=10)


def test_scores_need_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from diffattr.attribution.nda import Nda\n"
        "images = np.zeros((2, 1, 4, 4), dtype=np.float32)\n"
        "Nda().scores_of_images(images, images, 0.5)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
