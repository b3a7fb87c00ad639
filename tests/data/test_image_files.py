"""Decoding and scaling of single images, against the definition of both."""

import numpy as np
import pytest
from data_sets import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffattr.data.image_files import plain_file_name, reader, scaled, visible_files, write_pngs
from diffattr.data.source import DataError, UnreadableError


def weights(n, m):
    """Return the (m, n) matrix of a bilinear scaling with antialiasing, from its definition."""
    scale = n / m
    width = max(scale, 1)
    centres = (np.arange(m) + 0.5) * scale
    distance = abs(np.arange(n)[None] + 0.5 - centres[:, None]) / width
    triangle = np.maximum(0, 1 - distance)
    return triangle / triangle.sum(axis=1, keepdims=True)


def by_hand(image, resolution, crop=None):
    """Scale the shorter side, keep the centre, in float64."""
    image = image.astype(np.float64)
    if crop is not None:
        top, left = (round((length - crop) / 2) for length in image.shape[:2])
        image = image[top : top + crop, left : left + crop]
    shorter = min(image.shape[:2])
    height, width = (int(resolution * length / shorter) for length in image.shape[:2])
    image = np.einsum(
        "ih,hwc,jw->ijc", weights(image.shape[0], height), image, weights(image.shape[1], width)
    )
    top, left = (round((length - resolution) / 2) for length in (height, width))
    square = image[top : top + resolution, left : left + resolution]
    return square.transpose(2, 0, 1) / 255


@given(
    st.tuples(st.integers(8, 40), st.integers(8, 40)),
    st.integers(1, 32),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_scaling_is_that_of_the_definition(size, resolution, seed):
    image = noise(*size, 3, seed=seed)
    found = scaled(Image.fromarray(image), resolution, crop=None)
    assert found.shape == (3, resolution, resolution)
    assert found.dtype == np.float32
    # PIL rounds to 8 bits after each of the two directions, with weights of 8 bits and more.
    assert abs(found - by_hand(image, resolution)).max() <= 1.6 / 255


def test_celeba_s_size_is_cropped_as_torchvision_crops_it():
    # CenterCrop(140) of 178x218 leaves out 19 columns and 39 rows on each side.
    image = noise(218, 178, 3)
    found = scaled(Image.fromarray(image), 140, crop=140)
    assert np.array_equal(found * 255, image[39:179, 19:159].transpose(2, 0, 1))


@given(st.integers(0, 99))
@settings(deadline=None, max_examples=3)
def test_the_crop_comes_before_scaling(seed):
    image = noise(218, 178, 3, seed=seed)
    found = scaled(Image.fromarray(image), 64, crop=140)
    assert abs(found - by_hand(image, 64, crop=140)).max() <= 1.6 / 255


def test_an_image_of_the_right_size_is_left_alone_and_grey_has_one_channel():
    image = noise(7, 7)
    found = scaled(Image.fromarray(image), 7, crop=None)
    assert np.array_equal(found[0] * 255, image)
    assert found.shape == (1, 7, 7)


@pytest.mark.parametrize(("height", "width"), [(8, 11), (11, 8), (8, 9)])
def test_half_a_pixel_is_rounded_to_the_even_place(height, width):
    # torchvision's CenterCrop starts at int(round((length - side) / 2)).
    image = noise(height, width, 3)
    top, left = {(8, 11): (0, 2), (11, 8): (2, 0), (8, 9): (0, 0)}[height, width]
    found = scaled(Image.fromarray(image), 8, crop=None)
    assert np.array_equal(found * 255, image[top : top + 8, left : left + 8].transpose(2, 0, 1))


# --- reading ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.fromarray(noise(9, 9, 3, seed=number)).save(tmp_path / f"{number}.png")
    return tmp_path


def reads(folder, **options):
    return reader(
        lambda position: Image.open(folder / f"{position}.png"),
        lambda position: f"{position}.png",
        **options,
    )


def test_images_come_in_the_order_in_which_they_are_asked_for(folder):
    found = reads(folder)(np.array([4, 0, 4, 2]), 9)
    expected = [noise(9, 9, 3, seed=number) for number in (4, 0, 4, 2)]
    assert np.array_equal(found * 255, np.stack(expected).transpose(0, 3, 1, 2))


def test_grey_images_become_coloured_where_colour_is_wanted(folder):
    Image.fromarray(noise(9, 9)).save(folder / "1.png")
    (found,) = reads(folder)(np.array([1]), 9)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0] * 255, noise(9, 9))


def test_every_image_that_cannot_be_used_is_counted_and_the_first_three_are_named(folder):
    (folder / "0.png").unlink()
    (folder / "1.png").write_text("not an image")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(noise(8, 9, 3)).save(folder / "3.png")
    with pytest.raises(UnreadableError) as caught:
        reads(folder, size=(9, 9))(np.arange(6), 9)
    assert sorted(caught.value.problems) == [0, 1, 2, 3]
    text = str(caught.value)
    assert text.startswith(
        "4 images cannot be used (0.png: does not exist; 1.png: is not an image; 2."
    )
    assert caught.value.problems[3] == "3.png: is 9x8 pixels, expected 9x9"
    assert "3.png" not in text
    assert "data.unreadable: skip" in text
    assert "\n" not in text


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_no_image_with_grey_at_its_end(folder, share):
    Image.fromarray(noise(64, 64, 3)).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "0.png").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnreadableError, match=r"^1 image cannot be used \(0\.png: "):
        reads(folder)(np.array([0, 1]), 9)


def test_want_of_memory_is_not_held_against_an_image(folder, monkeypatch):
    def runs_out(*arguments):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", runs_out)
    with pytest.raises(MemoryError):
        reads(folder)(np.array([0]), 9)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=50)
def test_any_bytes_are_an_image_or_are_refused_in_words(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp()
    (folder / "0.png").write_bytes(content)
    with pytest.raises(UnreadableError):
        reads(folder)(np.array([0]), 4)


def test_a_flipped_byte_of_a_png_is_refused(folder):
    content = bytearray((folder / "0.png").read_bytes())
    for place in range(40, len(content) - 20, 31):
        content[place] ^= 0x10
        (folder / "0.png").write_bytes(content)
        content[place] ^= 0x10
        with pytest.raises(UnreadableError):
            reads(folder)(np.array([0]), 9)


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", "../a.jpg", "a/b.jpg", "/etc/passwd", "a/"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(DataError, match="list, line 3: found"):
        plain_file_name(name, "list, line 3")


def test_hidden_files_are_not_listed_and_the_order_is_that_of_names(tmp_path):
    for name in ("b/2.png", "b/10.png", "a.png", ".DS_Store", "b/.thumbs/1.png", "a/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in visible_files(tmp_path)]
    assert found == ["a.png", "a/z.png", "b/10.png", "b/2.png"]


def test_pngs_replace_those_of_an_earlier_run(tmp_path):
    for n in (3, 2):
        write_pngs(tmp_path / "pictures", np.zeros((n, 1, 4, 4), np.float32))
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["0000.png", "0001.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize("channels", [1, 3])
def test_pngs_are_the_images_in_8_bits(channels, tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (2, channels, 4, 4)).astype(np.float32)
    images[0, 0, 0, :2] = -1, 1
    write_pngs(tmp_path / "pictures", images)
    for number, image in enumerate(images):
        with Image.open(tmp_path / "pictures" / f"{number:04d}.png") as picture:
            pixels = np.asarray(picture).reshape(4, 4, channels).transpose(2, 0, 1)
        # Half of a step between two 8-bit values.
        np.testing.assert_allclose(pixels / 127.5 - 1, image, atol=0.5 / 127.5 + 1e-6)
