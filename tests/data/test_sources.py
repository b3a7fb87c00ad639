"""Data sets on disk, and the errors when files are missing or damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.config import Data
from diffattr.data import DATA_SOURCES
from diffattr.data.fashion_mnist import read_idx
from diffattr.data.source import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def load(source, folder=None, **keys):
    data = Data(
        source=source,
        folder=None if folder is None else str(folder),
        **{"resolution": 8, "n_train": 2, "n_val": 1, "n_planted": 0, **keys},
    )
    return DATA_SOURCES[source].load(data)


def everything(source, resolution):
    """Return every image of a data set."""
    return source.read(np.arange(len(source.labels)), resolution)


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
    found = load("fashion-mnist", folder)
    expected = np.concatenate([pixels(5, seed=5), pixels(3, seed=3)])
    images = everything(found, 28)
    assert images.shape == (8, 1, 28, 28)
    assert images.dtype == np.float32
    # One float32 division of numbers of at most 1.
    assert np.allclose(images[:, 0], expected / 255, atol=1e-7)
    assert found.labels.tolist() == list(range(8))
    assert found.labels.dtype == np.int64
    assert found.train_pool.tolist() == [0, 1, 2, 3, 4]
    assert found.val_pool.tolist() == [5, 6, 7]
    assert found.class_names[1::6] == ("trouser", "sneaker")


def test_black_and_white_are_exactly_zero_and_one(folder):
    values = np.zeros((5, 28, 28), np.uint8)
    values[0] = 255
    write_gz(folder / "train-images-idx3-ubyte.gz", idx(values))
    found = everything(load("fashion-mnist", folder), 28)
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
    assert "is not a complete gzip file" in text if share else "is not an idx file" in text


def test_a_file_that_is_not_gzip_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(WHOLE)
    assert "is not a complete gzip file" in refusal(path)


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
    assert f"holds {len(content) - 16} values, its header states 4 x 28 x 28 = 3136" in text


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
        load("fashion-mnist")


def test_a_folder_that_does_not_exist_is_refused_by_its_name(tmp_path):
    with pytest.raises(
        DataError, match=r"^data\.folder: .*/nowhere is not a folder; .* idx \.gz files"
    ):
        load("fashion-mnist", tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_each_missing_file_is_named(folder, part, kind):
    name = f"{part}-{kind}-ubyte.gz"
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: does not exist"):
        load("fashion-mnist", folder)


def test_images_and_labels_of_different_number_are_refused(folder):
    write_gz(folder / "t10k-labels-idx1-ubyte.gz", idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match="t10k has 3 images and 4 labels"):
        load("fashion-mnist", folder)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_is_read_whole():
    found = load("fashion-mnist", DEBIAN)
    assert len(found.labels) == 70_000
    assert found.train_pool[-1] == 59_999
    assert found.val_pool[0] == 60_000
    # The data set is balanced: 6,000 + 1,000 images of each of ten classes.
    assert np.bincount(found.labels[:60_000]).tolist() == [6000] * 10
    assert np.bincount(found.labels[60_000:]).tolist() == [1000] * 10
    # Mean and standard deviation of its training pixels, as everybody's normalisation has them.
    images = found.read(found.train_pool, 28)
    assert images.mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert images.std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)


# --- digits -----------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn_in_zero_to_one():
    from sklearn.datasets import load_digits

    found = load("digits")
    raw = load_digits()
    images = everything(found, 8)
    assert images.shape == (1797, 1, 8, 8)
    # Sixteenths are exact in float32.
    assert np.array_equal(images.reshape(1797, 64) * 16, raw.data)
    assert np.array_equal(found.labels, raw.target)
    assert found.train_pool.tolist() == found.val_pool.tolist() == list(range(1797))


def test_digits_take_no_folder():
    with pytest.raises(DataError, match=r"remove data\.folder"):
        load("digits", "/somewhere")


def test_no_data_set_but_cifar_10_comes_from_a_hub(folder):
    with pytest.raises(DataError, match=r"remove data\.hub \('someone/digits'\)"):
        load("digits", hub="someone/digits")
    with pytest.raises(DataError, match=r"^data\.hub: .*fashion-mnist is read from data\.folder"):
        load("fashion-mnist", folder, hub="someone/fashion")


def test_labels_beyond_the_ten_classes_are_refused(folder):
    labels = np.array([0, 1, 2, 3, 10], np.uint8)
    write_gz(folder / "train-labels-idx1-ubyte.gz", idx(labels))
    with pytest.raises(DataError, match="found label 10, expected 0 to 9"):
        load("fashion-mnist", folder)
