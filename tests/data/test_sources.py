"""Data sets as they lie on disk, and what is said where they do not."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.data import DATA_SOURCES, digits, fashion_mnist
from diffattr.data.fashion_mnist import read_idx
from diffattr.data.source import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx(values, axes=None, magic=0x08):
    """An idx file by its definition: two zeros, type, number of axes, sizes, values."""
    axes = values.shape if axes is None else axes
    header = struct.pack(">HBB", 0, magic, len(axes)) + struct.pack(f">{len(axes)}I", *axes)
    return header + values.tobytes()


def write_gz(path, content):
    path.write_bytes(gzip.compress(content))
    return path


def pixels(n, side=28, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five training and three test images."""
    for part, n, first in (("train", 5, 0), ("t10k", 3, 5)):
        write_gz(tmp_path / f"{part}-images-idx3-ubyte.gz", idx(pixels(n, seed=n)))
        labels = np.arange(first, first + n).astype(np.uint8)
        write_gz(tmp_path / f"{part}-labels-idx1-ubyte.gz", idx(labels))
    return tmp_path


# --- fashion-mnist ----------------------------------------------------------------------------


def test_the_four_files_become_one_data_set_with_its_test_set_at_the_end(folder):
    found = fashion_mnist.load(str(folder))
    expected = np.concatenate([pixels(5, seed=5), pixels(3, seed=3)])
    assert found.images.shape == (8, 1, 28, 28)
    assert found.images.dtype == np.float32
    # One float32 division of numbers of at most 1.
    assert np.allclose(found.images[:, 0], expected / 255, atol=1e-7)
    assert found.labels.tolist() == list(range(8))
    assert found.labels.dtype == np.int64
    assert found.first_test == 5


def test_black_and_white_are_exactly_zero_and_one(folder):
    values = np.zeros((5, 28, 28), np.uint8)
    values[0] = 255
    write_gz(folder / "train-images-idx3-ubyte.gz", idx(values))
    found = fashion_mnist.load(str(folder)).images
    assert np.all(found[0] == 1)
    assert np.all(found[1:5] == 0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_an_idx_file_of_any_shape_comes_back(tmp_path_factory, axes, seed):
    values = np.random.default_rng(seed).integers(0, 256, axes).astype(np.uint8)
    path = write_gz(tmp_path_factory.getbasetemp() / "any.gz", idx(values))
    assert np.array_equal(read_idx(path, len(axes)), values)


def refusal(path, n_axes=3):
    with pytest.raises(DataError) as caught:
        read_idx(path, n_axes)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


WHOLE = idx(pixels(4))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_gzip_file_is_refused(tmp_path, share):
    content = gzip.compress(WHOLE)
    path = tmp_path / "a.gz"
    path.write_bytes(content[: int(share * len(content))])
    text = refusal(path)
    # An empty file is an empty gzip stream for Python, hence no idx file.
    assert "is not a whole gzip file" in text if share else "is not an idx file" in text


def test_a_file_that_is_not_gzip_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(WHOLE)
    assert "is not a whole gzip file" in refusal(path)


def test_a_flipped_byte_is_refused(tmp_path):
    content = bytearray(gzip.compress(WHOLE))
    path = tmp_path / "a.gz"
    for place in range(20, len(content), 97):
        content[place] ^= 0x10
        path.write_bytes(content)
        content[place] ^= 0x10
        refusal(path)


@pytest.mark.parametrize("n", [1, 4, 15])
def test_an_idx_file_without_its_whole_header_is_refused(tmp_path, n):
    assert "is not an idx file" in refusal(write_gz(tmp_path / "a.gz", WHOLE[:n]))


@pytest.mark.parametrize("content", [WHOLE[:-1], WHOLE + b"\0", WHOLE[:16]])
def test_an_idx_file_with_too_few_or_too_many_values_is_refused(tmp_path, content):
    text = refusal(write_gz(tmp_path / "a.gz", content))
    assert f"holds {len(content) - 16} values, its header says 4 x 28 x 28 = 3136" in text


@pytest.mark.parametrize(
    "content",
    [
        idx(pixels(4), magic=0x0D),  # floats
        idx(pixels(4)[:, 0, 0]),  # labels where images should be
        b"\x01" + WHOLE[1:],
        b"<html>not found, try another mirror</html>",
    ],
    ids=["floats", "labels", "first byte", "page"],
)
def test_a_wrong_magic_number_is_refused_and_shown(tmp_path, content):
    text = refusal(write_gz(tmp_path / "a.gz", content))
    assert "is not an idx file of unsigned bytes with 3 axes" in text
    assert content[:4].hex(" ") in text


def test_sizes_of_a_header_that_overflow_are_refused(tmp_path):
    axes = (2**32 - 1, 2**32 - 1, 2**32 - 1)
    text = refusal(write_gz(tmp_path / "a.gz", idx(pixels(4), axes)))
    assert str((2**32 - 1) ** 3) in text


def test_a_missing_folder_setting_is_named():
    with pytest.raises(DataError, match=r"data\.folder is missing"):
        fashion_mnist.load(None)


def test_a_folder_that_does_not_exist_is_refused_with_the_file_s_name(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: does not exist"):
        fashion_mnist.load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_each_missing_file_is_named(folder, part, kind):
    name = f"{part}-{kind}-ubyte.gz"
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: does not exist"):
        fashion_mnist.load(str(folder))


def test_images_and_labels_of_different_number_are_refused(folder):
    write_gz(folder / "t10k-labels-idx1-ubyte.gz", idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match="t10k has 3 images and 4 labels"):
        fashion_mnist.load(str(folder))


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_is_read_whole():
    found = DATA_SOURCES["fashion-mnist"](str(DEBIAN))
    assert found.images.shape == (70_000, 1, 28, 28)
    assert found.first_test == 60_000
    # The data set is balanced: 6,000 + 1,000 images of each of ten classes.
    assert np.bincount(found.labels[:60_000]).tolist() == [6000] * 10
    assert np.bincount(found.labels[60_000:]).tolist() == [1000] * 10
    # Mean and standard deviation of its training pixels, as everybody's normalisation has them.
    assert found.images[:60_000].mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert found.images[:60_000].std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)


# --- digits -----------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn_in_zero_to_one():
    from sklearn.datasets import load_digits

    found = DATA_SOURCES["digits"](None)
    raw = load_digits()
    assert found.images.shape == (1797, 1, 8, 8)
    # Sixteenths are exact in float32.
    assert np.array_equal(found.images.reshape(1797, 64) * 16, raw.data)
    assert np.array_equal(found.labels, raw.target)
    assert found.first_test is None


def test_digits_take_no_folder():
    with pytest.raises(DataError, match=r"remove data\.folder"):
        digits.load("/somewhere")
