"""CIFAR-10 in each layout: the same images at the same positions, or a sentence."""

import os
import pickle
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from data_sets import encoded, everything, load, noise, save, section
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from diffattr.data.cifar10 import NAMES
from diffattr.data.source import DataError, Source, UnreadableError
from diffattr.data.splits import split
from diffattr.data.subsets import subset

REAL = os.environ.get("DIFFATTR_CIFAR10")
ORDER = (4, 3, 2, 5, 1)
N_BATCH, N_TEST = 6, 5


def images_of(part):
    """Return pixels (image, row, column, channel) and labels of a batch or of the test set."""
    n = N_TEST if part == "test" else N_BATCH
    seed = 9 if part == "test" else part
    return noise(n, 32, 32, 3, seed=seed), (np.arange(n) + seed) % 10


def expected():
    parts = [images_of(part) for part in (*ORDER, "test")]
    return (np.concatenate(columns) for columns in zip(*parts, strict=True))


def write_binary(folder):
    """The layout of its page: one byte of label, then 1024 bytes each of red, green and blue."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (1, 2, 3, 4, 5, "test"):
        pixels, labels = images_of(part)
        name = "test_batch" if part == "test" else f"data_batch_{part}"
        with (folder / f"{name}.bin").open("wb") as file:
            for image, label in zip(pixels, labels, strict=True):
                file.write(bytes([label]))
                for channel in range(3):
                    file.write(image[:, :, channel].tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n")


def write_parquet(folder, n_files=1, **columns):
    """The hub's layout: encoded images in a struct."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = expected()
    n_train = len(labels) - N_TEST
    for part, rows in (("train", range(n_train)), ("test", range(n_train, len(labels)))):
        for number, some in enumerate(np.array_split(np.array(rows), n_files)):
            table = {
                "img": [{"bytes": encoded(pixels[row]), "path": None} for row in some],
                "label": labels[some],
            }
            name = f"{part}-{number:05d}-of-{n_files:05d}.parquet"
            pyarrow.parquet.write_table(pyarrow.table({**table, **columns}), folder / name)


@pytest.fixture
def binary(tmp_path):
    write_binary(tmp_path / "cifar")
    return tmp_path / "cifar"


@pytest.fixture
def parquet(tmp_path):
    write_parquet(tmp_path / "cifar")
    return tmp_path / "cifar"


def assert_is_expected(found: Source):
    pixels, labels = expected()
    assert found.class_names == NAMES
    assert np.array_equal(found.labels, labels)
    assert found.labels.dtype == np.int64
    assert found.train_pool.tolist() == list(range(5 * N_BATCH))
    assert found.val_pool.tolist() == list(range(5 * N_BATCH, 5 * N_BATCH + N_TEST))
    images = everything(found, 32)
    assert images.dtype == np.float32
    # One float32 division of numbers of at most 1.
    assert np.allclose(images, pixels.transpose(0, 3, 1, 2) / 255, atol=1e-7)


def test_the_binary_batches_come_in_the_order_of_the_hub(binary):
    assert_is_expected(load("cifar10", binary))


def test_the_unpacked_archive_may_lie_in_its_own_folder(tmp_path):
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert_is_expected(load("cifar10", tmp_path))


@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.parametrize("below", [".", "plain_text"])
def test_parquet_files_are_read_whole(tmp_path, n_files, below):
    write_parquet(tmp_path / below, n_files)
    assert_is_expected(load("cifar10", tmp_path))


def test_a_hub_s_data_set_is_read_by_its_name(parquet, tmp_path, monkeypatch):
    # The library takes a folder of parquet files for the name of a data set as well.
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert_is_expected(load("cifar10", hub=str(parquet)))


def test_image_folders_are_read_by_the_names_of_the_classes(tmp_path):
    pixels = noise(4, 32, 32, 3)
    for number, (part, name) in enumerate(
        [("train", "truck"), ("train", "cat"), ("train", "cat"), ("test", "airplane")]
    ):
        save(tmp_path / part / name / f"{number}.png", pixels[number])
    found = load("cifar10", tmp_path)
    assert found.class_names == NAMES
    assert found.labels.tolist() == [3, 3, 9, 0]
    assert (found.train_pool.tolist(), found.val_pool.tolist()) == ([0, 1, 2], [3])
    images = everything(found, 32)
    assert np.array_equal(images * 255, pixels[[1, 2, 0, 3]].transpose(0, 3, 1, 2))


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path):
    write_parquet(tmp_path, img=[{"bytes": b"no image", "path": None}] * 10, label=[0, 1] * 5)
    found = load("cifar10", tmp_path)
    assert len(found.labels) == 20
    with pytest.raises(UnreadableError, match=r"position 13: is not an image"):
        found.read(np.array([13]), 32)


# --- what is refused --------------------------------------------------------------------------


def refusal(folder=None, **keys):
    with pytest.raises(DataError) as caught:
        load("cifar10", folder, **keys)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_pickled_layout_is_refused_with_the_archive_to_take(tmp_path):
    batch = {b"data": noise(2, 3072), b"labels": [0, 1]}
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (tmp_path / name).write_bytes(pickle.dumps(batch))
    assert "pickles can execute code" in refusal(tmp_path)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in refusal(tmp_path)


def test_no_folder_and_an_empty_one_say_what_is_expected(tmp_path):
    for text in (refusal(None), refusal(tmp_path), refusal(tmp_path / "nowhere")):
        assert "cifar-10-binary.tar.gz (data_batch_1.bin and so on), or the Hub's" in text


def test_a_folder_and_a_hub_at_once_are_refused(binary):
    assert "data.hub: found 'a/b' and data.folder; set only one" in refusal(binary, hub="a/b")


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_3.bin", "test_batch.bin"])
def test_a_missing_batch_is_named(binary, name):
    (binary / name).unlink()
    assert f"{name}: does not exist" in refusal(binary)


@pytest.mark.parametrize("n_bytes", [0, 1, 3072, 3074, 6 * 3073 - 1])
def test_a_truncated_batch_is_refused(binary, n_bytes):
    path = binary / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:n_bytes].ljust(n_bytes, b"\0"))
    assert f"holds {n_bytes} bytes, expected a multiple of 3073" in refusal(binary)


def test_a_label_beyond_nine_is_refused(binary):
    path = binary / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[3073] = 10
    path.write_bytes(content)
    assert "data_batch_2.bin: found labels 2 to 10, expected 0 to 9" in refusal(binary)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=25)
def test_a_parquet_file_of_any_bytes_is_refused_in_words(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("cifar")
    for part in ("train", "test"):
        (folder / f"{part}-00000-of-00001.parquet").write_bytes(content)
    assert "train-00000-of-00001.parquet: is not a complete parquet file" in refusal(folder)


def test_a_truncated_parquet_file_is_refused(parquet):
    path = parquet / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert "test-00000-of-00001.parquet: is not a complete parquet file" in refusal(parquet)


def test_a_parquet_file_without_the_columns_is_refused(parquet):
    table = pyarrow.table({"image": [1, 2], "label": [0, 1]})
    pyarrow.parquet.write_table(table, parquet / "train-00000-of-00001.parquet")
    assert "columns img and label" in refusal(parquet)


def test_parquet_files_of_one_part_alone_are_refused(parquet):
    (parquet / "test-00000-of-00001.parquet").unlink()
    assert "has no test-*.parquet" in refusal(parquet)


def test_an_image_column_of_another_kind_is_refused(tmp_path):
    write_parquet(tmp_path, img=[1.5] * 10, label=[0, 1] * 5)
    assert "the image column holds double" in refusal(tmp_path)


@pytest.mark.parametrize("labels", [["cat"] * 10, [None] * 10, [0.5] * 10, [-1] * 10, [10] * 10])
def test_labels_that_are_no_class_numbers_are_refused(tmp_path, labels):
    write_parquet(tmp_path, img=[{"bytes": b"", "path": None}] * 10, label=labels)
    text = refusal(tmp_path)
    assert "the column label holds" in text or "expected 0 to 9" in text


def test_an_image_of_another_size_is_refused(tmp_path):
    save(tmp_path / "train" / "cat" / "1.png", noise(32, 32, 3))
    save(tmp_path / "train" / "cat" / "2.png", noise(33, 32, 3))
    save(tmp_path / "test" / "dog" / "1.png", noise(32, 32, 3))
    with pytest.raises(UnreadableError, match=r"2\.png: is 32x33 pixels, expected 32x32"):
        everything(load("cifar10", tmp_path), 32)


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    save(tmp_path / "train" / "wombat" / "1.png", noise(32, 32, 3))
    (tmp_path / "test").mkdir()
    assert "found 'wombat', expected one folder per class, named airplane" in refusal(tmp_path)


def test_images_without_a_test_part_are_refused(tmp_path):
    save(tmp_path / "train" / "cat" / "1.png", noise(32, 32, 3))
    assert "has no folder test" in refusal(tmp_path)


@pytest.mark.parametrize(("package", "keys"), [("pyarrow", {}), ("datasets", {"hub": "a/b"})])
def test_a_package_that_is_not_installed_is_named(parquet, monkeypatch, package, keys):
    monkeypatch.setitem(sys.modules, package, None)
    text = refusal(None if keys else parquet, **keys)
    assert "pip install 'diffattr[hub]'" in text
    assert package in text


def test_a_hub_s_data_set_that_cannot_be_had_is_refused_in_words(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def fails(name):
        raise ConnectionError("could not\nreach it")

    monkeypatch.setattr(datasets, "load_dataset", fails)
    text = refusal(hub="uoft-cs/cifar10")
    assert text.startswith("data.hub: 'uoft-cs/cifar10' cannot be loaded (could not reach it)")
    assert "put the files into data.folder" in text


# --- the published indices --------------------------------------------------------------------


def d_trak(whole, n_train, **keys):
    wanted = section("cifar10", n_train=n_train, n_val=1000, split="d-trak", **keys)
    return {name: part.positions for name, part in split(whole, wanted, seed=0).items()}


def published_subset(whole, train, index):
    """Return the first entries of lds-val/<index>, in the order of the published file."""
    labels = whole.labels[train]
    drawn, _ = train_test_split(train, train_size=0.5, random_state=42 + 2 * index, stratify=labels)
    members = train[subset(labels, 0.5, 0, "lds", index, like_d_trak=True)]
    assert set(members.tolist()) == set(drawn.tolist())
    return drawn[:5].tolist()


@pytest.mark.skipif(not REAL, reason="DIFFATTR_CIFAR10 names no folder with the real CIFAR-10")
def test_the_published_indices_come_out():
    # Labels alone decide them. No package ships CIFAR-10's, so this runs where the data are.
    whole = load("cifar10", REAL)
    two = d_trak(whole, 5000, classes=("automobile", "horse"))
    assert (two["val"][:5] - 50_000).tolist() == [7405, 5226, 1363, 6615, 7612]
    assert two["train"][:6].tolist() == [17488, 17769, 25061, 7882, 4701, 38681]
    assert published_subset(whole, two["train"], 0) == [10392, 44460, 16163, 49891, 13381]
    assert published_subset(whole, two["train"], 8) == [4871, 21837, 20107, 553, 20868]
    ten = d_trak(whole, 50_000)
    assert (ten["val"][:5] - 50_000).tolist() == [9128, 5468, 62, 2465, 2810]
    assert ten["train"].tolist() == list(range(50_000))
    assert published_subset(whole, ten["train"], 0) == [10936, 11178, 26489, 22034, 14307]
    assert published_subset(whole, ten["train"], 8) == [6591, 35601, 1087, 17631, 28857]
