"""Attribution by patches against its formula in loops, and its options."""

import math
import subprocess
import sys

import numpy as np
import pytest
from tiny import uniform_images as images

from diffattr import rng
from diffattr.attribution.method import with_options
from diffattr.attribution.nda import Nda
from diffattr.config import ConfigError


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
