"""A user's folder of images."""

import numpy as np
import pytest
from data_sets import everything, images_of, load, noise, save, section
from PIL import Image

from diffattr.data.source import UnreadableError
from diffattr.data.splits import split


def fill(folder, names, *shape):
    for number, name in enumerate(names):
        save(folder / name, noise(*(shape or (12, 10, 3)), seed=number))
    return folder


def test_images_in_sub_folders_have_these_for_classes(tmp_path):
    fill(tmp_path, ["b/2.png", "a/x/1.png", "b/1.png", "a/3.png"])
    found = load("images", tmp_path)
    assert found.class_names == ("a", "b")
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.train_pool.tolist() == found.val_pool.tolist() == [0, 1, 2, 3]
    # Sorted by name: a/3.png, a/x/1.png, b/1.png, b/2.png; the longer side loses one row each way.
    expected = [noise(12, 10, 3, seed=seed)[1:11] for seed in (3, 1, 2, 0)]
    images = everything(found, 10)
    assert np.array_equal(images * 255, np.stack(expected).transpose(0, 3, 1, 2))


def test_images_beside_the_sub_folders_make_it_one_class(tmp_path):
    fill(tmp_path / "mine", ["b/2.png", "1.png"])
    found = load("images", tmp_path / "mine")
    assert found.class_names == ("mine",)
    assert found.labels.tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "webp"])
def test_any_kind_of_image_will_do(tmp_path, kind):
    fill(tmp_path, [f"1.{kind}", "2.png"])
    assert everything(load("images", tmp_path), 8).shape == (2, 3, 8, 8)


def test_a_folder_of_grey_images_has_one_channel(tmp_path):
    fill(tmp_path, ["1.png", "2.png"], 12, 10)
    images = everything(load("images", tmp_path), 10)
    assert images.shape == (2, 1, 10, 10)
    assert np.array_equal(images[0, 0] * 255, noise(12, 10, seed=0)[1:11])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no usable image"):
        load("images", tmp_path)


# --- what cannot be used ----------------------------------------------------------------------


def with_alpha(path):
    Image.fromarray(noise(12, 10, 4)).save(path)


def sixteen_bit(path):
    Image.fromarray(noise(12, 10).astype(np.uint16) * 200).save(path)


def see_through_palette(path):
    image = Image.fromarray(noise(12, 10, 3)).convert("P")
    image.save(path, transparency=3)


BAD = {
    "a text": (lambda path: path.write_text("read me"), "is not an image"),
    "an empty file": (lambda path: path.write_bytes(b""), "is not an image"),
    "grey": (lambda path: save(path, noise(12, 10)), "is grey among coloured images"),
    "alpha": (with_alpha, "has an alpha channel"),
    "palette with alpha": (see_through_palette, "has an alpha channel"),
    "sixteen bits": (sixteen_bit, "has more than 8 bits"),
    "small": (lambda path: save(path, noise(12, 7, 3)), "is 7x12 pixels, less than data.resol"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_what_cannot_stand_beside_the_others_is_refused(tmp_path, spoil, words):
    fill(tmp_path, ["1.png", "3.png", "4.png"])
    spoil(tmp_path / "2.png")
    with pytest.raises(UnreadableError, match=r"^1 image cannot be used .*2\.png: " + words):
        load("images", tmp_path)


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_or_is_left_out_where_the_switch_says_so(tmp_path, spoil, words, caplog):
    fill(tmp_path, ["a/1.png", "b/3.png", "b/4.png"])
    spoil(tmp_path / "2.png")
    found = load("images", tmp_path, unreadable="skip")
    # What is left out decides nothing: not the classes either.
    assert found.class_names == ("a", "b")
    expected = [noise(12, 10, 3, seed=seed)[1:11] for seed in range(3)]
    images = everything(found, 10)
    assert np.array_equal(images * 255, np.stack(expected).transpose(0, 3, 1, 2))
    assert f"2.png: {words}" in caplog.text


def test_a_coloured_image_among_grey_ones_is_refused(tmp_path):
    fill(tmp_path, ["1.png", "3.png", "4.png"], 12, 10)
    save(tmp_path / "2.png", noise(12, 10, 3))
    with pytest.raises(UnreadableError, match=r"2\.png: is in colour among grey images"):
        load("images", tmp_path)


# --- together with the split ------------------------------------------------------------------


@pytest.fixture
def truncated(tmp_path):
    """Twenty images, two of them truncated after an intact header."""
    fill(tmp_path, [f"{number:02d}.png" for number in range(20)], 40, 40, 3)
    for name in ("04.png", "11.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-200])
    return tmp_path


def drawn(folder, **keys):
    wanted = section("images", folder, **keys)
    return split(load("images", folder, **keys), wanted, seed=1)


def test_truncated_images_of_train_and_val_are_counted_together(truncated):
    with pytest.raises(UnreadableError, match=r"^2 images cannot be used \(.*04.*; .*11\.png"):
        drawn(truncated, n_train=15, n_val=5)


def test_truncated_images_that_are_not_drawn_do_no_harm(truncated):
    used = set()
    for seed in range(40):
        wanted = section("images", truncated, n_train=2, n_val=2)
        try:
            found = split(load("images", truncated), wanted, seed)
        except UnreadableError:
            continue
        used |= {position for part in found.values() for position in part.positions.tolist()}
    assert used == set(range(20)) - {4, 11}


@pytest.mark.parametrize("how", ["keyed", "d-trak"])
def test_truncated_images_are_never_drawn_where_they_are_left_out(truncated, how):
    found = drawn(truncated, n_train=13, n_val=5, unreadable="skip", split=how)
    used = np.concatenate([part.positions for part in found.values()])
    assert sorted(used.tolist()) == sorted(set(range(20)) - {4, 11})
    for part in found.values():
        assert np.isfinite(images_of(part)).all()


def test_too_few_are_left_says_how_many(truncated):
    with pytest.raises(ValueError, match=r"data\.n_train: found 14, but only 13 images are"):
        drawn(truncated, n_train=14, n_val=5, unreadable="skip")


def test_all_images_train_but_those_that_queries_take(tmp_path):
    fill(tmp_path, [f"{number}.png" for number in range(8)])
    found = drawn(tmp_path, n_train=5, n_val=3)
    used = np.concatenate([part.positions for part in found.values()])
    assert sorted(used.tolist()) == list(range(8))
