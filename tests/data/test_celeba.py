"""CelebA's list of partitions and its folder of images."""

import data_sets
import numpy as np
import pytest
from data_sets import everything, load, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffattr.data.source import UnreadableError

# Partitions in mixed order: positions are lines of the list, whatever their partition.
PARTITIONS = [0, 1, 0, 2, 1, 0]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    lines = [f"{number:06d}.jpg {part}" for number, part in enumerate(PARTITIONS, start=1)]
    (tmp_path / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    for number in range(1, 7):
        # Constant, so that JPEG leaves it as it is.
        grey = np.full((218, 178, 3), 20 * number, np.uint8)
        Image.fromarray(grey).save(image(tmp_path, number))
    return tmp_path


def image(folder, number):
    return folder / "img_align_celeba" / f"{number:06d}.jpg"


def test_partition_0_trains_and_1_is_asked_about(folder):
    found = load("celeba", folder)
    assert found.train_pool.tolist() == [0, 2, 5]
    assert found.val_pool.tolist() == [1, 4]
    assert found.labels.tolist() == [0] * 6
    assert found.class_names == ("face",)


def test_a_position_is_a_line_of_the_list(folder):
    images = load("celeba", folder).read(np.array([4, 0]), 64)
    assert images.shape == (2, 3, 64, 64)
    # A grey of JPEG may be off by one.
    assert np.allclose(images[:, 0, 0, 0] * 255, [100, 20], atol=1)


def test_the_frame_around_the_centre_of_140_pixels_is_left_out(folder):
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39 - 8 : 179 + 8, 19 - 8 : 159 + 8] = 255
    Image.fromarray(pixels).save(image(folder, 1), quality=100)
    assert everything(load("celeba", folder), 64)[0].min() > 0.99


def test_images_are_not_opened_before_they_are_asked_for(folder):
    image(folder, 4).unlink()
    image(folder, 6).write_bytes(b"")
    found = load("celeba", folder)
    found.read(np.array([0, 1, 2]), 8)
    with pytest.raises(UnreadableError) as caught:
        everything(found, 8)
    assert caught.value.problems == {
        3: "img_align_celeba/000004.jpg: does not exist",
        5: "img_align_celeba/000006.jpg: is not an image",
    }


def test_an_image_that_is_not_aligned_and_cropped_is_refused(folder):
    Image.fromarray(noise(178, 218, 3)).save(image(folder, 2))
    with pytest.raises(UnreadableError, match=r"000002\.jpg: is 218x178 pixels, expected 178x218"):
        everything(load("celeba", folder), 8)


def refusal(folder):
    return data_sets.refusal(load, "celeba", folder)


def test_a_missing_list_is_named(folder):
    (folder / "list_eval_partition.txt").unlink()
    assert "list_eval_partition.txt: does not exist" in refusal(folder)


@pytest.mark.parametrize("line", ["000002.jpg", "000002.jpg 3", "000002.jpg one", "a b 0", ""])
def test_a_line_of_another_kind_is_shown(folder, line):
    (folder / "list_eval_partition.txt").write_text(f"000001.jpg 0\n{line}\n000003.jpg 1\n")
    assert f"list_eval_partition.txt, line 2: found {line!r}" in refusal(folder)


def test_a_name_that_leads_out_of_the_folder_is_refused(folder):
    (folder / "list_eval_partition.txt").write_text("../../secret.jpg 0\n")
    assert "line 1: found '../../secret.jpg', expected a file name without" in refusal(folder)


def test_an_empty_list_is_refused(folder):
    (folder / "list_eval_partition.txt").write_text("")
    assert "no image" in refusal(folder)


@given(st.binary(min_size=1, max_size=100).filter(lambda content: content.strip()))
@settings(deadline=None, max_examples=40)
def test_a_list_of_any_bytes_is_refused_in_words(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("celeba")
    (folder / "list_eval_partition.txt").write_bytes(content)
    assert "list_eval_partition.txt, line " in refusal(folder)
