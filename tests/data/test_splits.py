"""From a data set to train, val and planted."""

import numpy as np
import pytest
from data_sets import images_of
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.config import Data
from diffattr.data.in_memory import in_memory
from diffattr.data.source import DataError
from diffattr.data.splits import split


def source(counts=(30, 20, 10), side=4, first_test=None, seed=0):
    """A data set with so many images of each class, in mixed order, no two images alike."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    generator.shuffle(labels)
    images = generator.random((len(labels), 1, side, side), dtype=np.float32)
    names = tuple(f"class {label}" for label in range(len(counts)))
    return in_memory(images, labels.astype(np.int64), names, first_test)


def all_images(whole):
    """Return every image of a data set of 4x4 pixels, in [0, 1]."""
    return whole.read(np.arange(len(whole.labels)), 4)


def data(**changes):
    values = {"source": "digits", "resolution": 4, "n_train": 24, "n_val": 12, "n_planted": 6}
    return Data(**{**values, **changes})


def class_counts(chosen, n_classes):
    return np.bincount(chosen.labels, minlength=n_classes)


SIZES = st.tuples(st.integers(3, 40), st.integers(3, 15), st.integers(0, 12), st.integers(0, 99))


@given(SIZES)
@settings(deadline=None)
def test_splits_have_their_sizes_and_val_shares_no_image_with_train(sizes):
    n_train, n_val, n_planted, seed = sizes
    n_planted = min(n_planted, n_train - 1)
    found = split(source(), data(n_train=n_train, n_val=n_val, n_planted=n_planted), seed)
    positions = {name: set(part.positions.tolist()) for name, part in found.items()}
    assert ("planted" in positions) == (n_planted > 0)
    positions.setdefault("planted", set())
    assert [len(positions[name]) for name in ("train", "val", "planted")] == [
        n_train,
        n_val,
        n_planted,
    ]
    assert not positions["train"] & positions["val"]
    assert positions["planted"] <= positions["train"]
    for part in found.values():
        assert np.all(np.diff(part.positions) > 0)  # ascending, no image twice


@given(st.integers(0, 99), st.integers(3, 40), st.integers(3, 15))
@settings(deadline=None)
def test_every_class_has_its_share_within_one_image(seed, n_train, n_val):
    counts = np.array([30, 20, 10])
    found = split(source(counts), data(n_train=n_train, n_val=n_val, n_planted=0), seed)
    shares = counts / counts.sum()
    assert np.all(abs(class_counts(found["val"], 3) - n_val * shares) < 1)
    # Train is drawn from what val left.
    left = counts - class_counts(found["val"], 3)
    expected = n_train * left / left.sum()
    assert np.all(abs(class_counts(found["train"], 3) - expected) < 1 + 1e-9)


def test_images_and_labels_are_those_at_their_positions():
    whole = source()
    for part in split(whole, data(), seed=3).values():
        images = images_of(part)
        assert images.dtype == np.float32
        assert images.shape == (len(part.positions), 1, 4, 4)
        # One rounding of 2x - 1 with x in [0, 1).
        assert np.allclose(images, 2 * all_images(whole)[part.positions] - 1, atol=2e-7)
        assert np.array_equal(part.labels, whole.labels[part.positions])
        assert part.labels.dtype == part.positions.dtype == np.int64


@pytest.mark.parametrize("resolution", [2, 3, 4, 7])
def test_every_pixel_lies_between_minus_one_and_one(resolution):
    images = all_images(source())
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 1
    whole = in_memory(images, source().labels, source().class_names)
    for part in split(whole, data(resolution=resolution), seed=3).values():
        found = images_of(part)
        assert found.shape[2:] == (resolution, resolution)
        assert found.min() >= -1
        assert found.max() <= 1


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (split(source(), data(), seed) for seed in (3, 3, 4))
    for name in first:
        assert np.array_equal(first[name].positions, again[name].positions)
        assert np.array_equal(images_of(first[name]), images_of(again[name]))
        assert not np.array_equal(first[name].positions, other[name].positions)


def test_the_numbers_of_planted_and_training_images_do_not_move_val():
    val = split(source(), data(), 3)["val"].positions
    for changes in ({"n_planted": 0}, {"n_planted": 9}, {"n_train": 40}):
        assert np.array_equal(split(source(), data(**changes), 3)["val"].positions, val)


def test_the_number_of_planted_images_does_not_move_train():
    train = split(source(), data(), 3)["train"].positions
    assert np.array_equal(split(source(), data(n_planted=0), 3)["train"].positions, train)


def test_planted_images_are_not_the_first_ones():
    # Uniform over train: the mean rank of 6 of 24 is 11.5; 40 seeds leave a standard error of
    # 6.9 / sqrt(240) = 0.45, of which four are allowed.
    ranks = []
    for seed in range(40):
        found = split(source(), data(), seed)
        ranks += np.searchsorted(found["train"].positions, found["planted"].positions).tolist()
    assert abs(np.mean(ranks) - 11.5) < 1.8


# --- classes ----------------------------------------------------------------------------------


def test_only_the_wanted_classes_are_drawn():
    found = split(source(), data(classes=(0, 2), n_train=20, n_val=8), seed=1)
    for part in found.values():
        assert set(part.labels.tolist()) <= {0, 2}
    counts = class_counts(found["train"], 3) + class_counts(found["val"], 3)
    assert counts.sum() == 28
    assert np.all(abs(counts[[0, 2]] - 28 * np.array([0.75, 0.25])) < 2)


def test_a_class_is_named_by_its_number_or_by_its_name():
    by_number = split(source(), data(classes=(0, 2), n_train=20), seed=1)
    by_name = split(source(), data(classes=("class 2", "class 0"), n_train=20), seed=1)
    mixed = split(source(), data(classes=("class 2", 0), n_train=20), seed=1)
    for name, part in by_number.items():
        assert np.array_equal(by_name[name].positions, part.positions)
        assert np.array_equal(mixed[name].positions, part.positions)


def test_one_class_alone_can_be_drawn():
    found = split(source(), data(classes=(1,), n_train=10, n_val=5, n_planted=2), seed=1)
    assert set(found["train"].labels.tolist()) == {1}


def test_a_class_that_does_not_exist_is_named():
    known = r"expected one of 0 \(class 0\), 1 \(class 1\), 2"
    with pytest.raises(DataError, match=rf"data\.classes: class 7 does not exist; {known}"):
        split(source(), data(classes=(0, 7)), seed=1)


# --- too few ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"n_val": 61}, "data.n_val: found 61, but only 60 images are available"),
        ({"n_train": 49}, "data.n_train: found 49, but only 48 images are available"),
        (
            {"classes": (2,), "n_train": 8, "n_val": 3},
            "data.n_train: found 8, but only 7 images",
        ),
        ({"n_val": 2}, "n_val"),  # fewer images than classes
        ({"n_train": 2, "n_planted": 1}, "n_train"),
        ({"n_train": 46}, "n_train"),  # two images left over cannot be of three classes
    ],
)
def test_too_few_images_are_refused_by_the_key(changes, key):
    with pytest.raises(DataError) as caught:
        split(source(), data(**changes), seed=1)
    assert key in str(caught.value)


def test_a_class_name_that_does_not_exist_is_named():
    with pytest.raises(DataError, match=r"class class 3 does not exist"):
        split(source(), data(classes=("class 3",)), seed=1)


def test_a_class_of_one_image_is_refused_in_a_sentence():
    with pytest.raises(DataError, match="n_val"):
        split(source((30, 20, 1)), data(), seed=1)


def test_every_image_can_be_used():
    found = split(source(), data(n_train=48), seed=1)
    used = np.concatenate([found["train"].positions, found["val"].positions])
    assert sorted(used.tolist()) == list(range(60))


# --- a separate test set ----------------------------------------------------------------------


@given(st.integers(0, 50))
@settings(deadline=None, max_examples=20)
def test_queries_come_from_the_test_set_and_training_images_do_not(seed):
    found = split(source(first_test=40), data(n_val=8), seed)
    assert found["val"].positions.min() >= 40
    assert found["train"].positions.max() < 40
    assert found["planted"].positions.max() < 40


def test_the_sizes_of_training_and_test_set_are_respected():
    with pytest.raises(DataError, match=r"n_val: found 21, but only 20 images are available"):
        split(source(first_test=40), data(n_val=21), seed=1)
    with pytest.raises(DataError, match=r"n_train: found 41, but only 40 images are available"):
        split(source(first_test=40), data(n_train=41), seed=1)
    whole = split(source(first_test=40), data(n_val=20, n_train=40), seed=1)
    assert whole["val"].positions.tolist() == list(range(40, 60))
    assert whole["train"].positions.tolist() == list(range(40))


# --- what a data set may hold -----------------------------------------------------------------


ONE_CLASS = ("image",)


def labels_of(images):
    return np.zeros(len(images), dtype=np.int64)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_with_values_that_are_no_numbers_are_counted_and_named(value):
    images = np.zeros((5, 1, 2, 2), np.float32)
    images[3, 0, 1, 1] = images[4, 0, 0, 0] = value
    with pytest.raises(DataError, match=r"2 images hold NaN or infinite values.*position 3"):
        in_memory(images, labels_of(images), ONE_CLASS)


@pytest.mark.parametrize(("low", "high"), [(-0.01, 1), (0, 1.01), (0, 255), (-1, 1)])
def test_values_outside_of_zero_and_one_are_refused_with_their_range(low, high):
    images = np.zeros((2, 1, 2, 2), np.float32)
    images[0, 0, 0, 0], images[1, 0, 0, 0] = low, high
    with pytest.raises(DataError) as caught:
        in_memory(images, labels_of(images), ONE_CLASS)
    assert f"[{low:g}, {high:g}]" in str(caught.value)
    assert "[0, 1]" in str(caught.value)


def test_an_empty_data_set_is_refused():
    images = np.zeros((0, 1, 2, 2), np.float32)
    with pytest.raises(DataError, match="no image"):
        in_memory(images, labels_of(images), ONE_CLASS)


# --- scaling ----------------------------------------------------------------------------------


def only_images(images, resolution, n_train):
    """Return the training images of a data set of which nothing is left out, in its order."""
    images = np.concatenate([images, images[:2]])
    whole = in_memory(images, labels_of(images), ONE_CLASS, first_test=len(images) - 2)
    options = data(n_train=n_train, n_val=2, n_planted=0, resolution=resolution)
    return images_of(split(whole, options, seed=0)["train"])


def test_the_native_resolution_is_left_alone():
    images = np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)
    assert np.array_equal(only_images(images, 4, 3), 2 * images - 1)


@pytest.mark.parametrize("resolution", [1, 3, 4, 8, 16])
def test_a_constant_image_stays_constant_at_every_resolution(resolution):
    values = np.array([0.0, 0.3, 1.0], dtype=np.float32)
    images = np.tile(values[:, None, None, None], (1, 1, 8, 8))
    found = only_images(images, resolution, 3)
    # Weights of an average add up to 1 within a few float32 roundings.
    assert np.allclose(found, 2 * images[:, :, :1, :1] - 1, atol=1e-6)


def triangle_weights(n, m):
    """Return the (m, n) matrix of an antialiased bilinear downscale, from its definition."""
    scale = n / m
    weights = np.zeros((m, n))
    for out in range(m):
        centre = (out + 0.5) * scale
        for into in range(n):
            weights[out, into] = max(0.0, 1 - abs((into + 0.5 - centre) / scale))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("side", "resolution"), [(8, 4), (28, 16), (9, 3)])
def test_scaling_down_averages_with_a_triangle_twice_as_wide_as_a_pixel(side, resolution):
    images = np.random.default_rng(1).random((3, 1, side, side), dtype=np.float32)
    weights = triangle_weights(side, resolution)
    expected = 2 * (weights @ images.astype(np.float64) @ weights.T) - 1
    # Sums of at most 64 float32 products of numbers below 1.
    assert np.allclose(only_images(images, resolution, 3), expected, atol=2e-6)


def test_scaling_down_blocks_of_two_by_two_keeps_the_middle_of_a_slope():
    # A slope made of constant 2 x 2 blocks: symmetric weights give each block's own value back,
    # except at the edges, where the triangle is cut.
    blocks = np.tile(np.linspace(0, 1, 6, dtype=np.float32), (6, 1))
    images = np.kron(blocks, np.ones((2, 2), dtype=np.float32))[None, None].repeat(3, axis=0)
    found = only_images(images, 6, 3)[0, 0]
    assert np.allclose(found[:, 1:-1], 2 * blocks[:, 1:-1] - 1, atol=1e-6)  # float32 rounding


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (4, 6, slice(0, 4), slice(1, 5)),
        (6, 4, slice(1, 5), slice(0, 4)),
        (4, 7, slice(0, 4), slice(1, 5)),  # an odd pixel is left over at the end
        (9, 4, slice(2, 6), slice(0, 4)),
    ],
)
def test_of_an_image_that_is_not_square_the_centre_is_kept(height, width, rows, columns):
    images = np.random.default_rng(2).random((3, 2, height, width), dtype=np.float32)
    assert np.array_equal(only_images(images, 4, 3), 2 * images[:, :, rows, columns] - 1)
