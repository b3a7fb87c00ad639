"""Data sets as the library `datasets` reads them, out of parquet files that are written here."""

import numpy as np
import pytest
from data_sets import encoded as as_bytes
from data_sets import noise, section

from diffattr.data import data_source
from diffattr.data.source import DataError, UnreadableError

datasets = pytest.importorskip("datasets", reason="needs pip install 'diffattr[hub]'")


def encoded(pixels):
    return {"bytes": as_bytes(pixels), "path": None}


def write(folder, part="train", features=None, **columns):
    kinds = {"image": datasets.Image(), **(features or {})}
    wanted = datasets.Features(
        {name: kinds.get(name, datasets.Value("string")) for name in columns}
    )
    found = datasets.Dataset.from_dict(columns, features=wanted)
    found.to_parquet(folder / f"{part}-00000-of-00001.parquet")


CLASSES = {"label": datasets.ClassLabel(names=["a", "b"])}


def load(name, **keys):
    keys = {"source": "hub", "hub": str(name), "folder": None, "resolution": 8, **keys}
    return data_source("hub")(section(**keys))


def test_positions_count_in_train_and_then_in_test(tmp_path):
    pixels = noise(5, 8, 8, 3)
    images = [encoded(one) for one in pixels]
    write(tmp_path, features=CLASSES, image=images[:3], label=[0, 1, 0])
    write(tmp_path, "test", features=CLASSES, image=images[3:], label=[1, 1])
    found = load(tmp_path)
    assert found.class_names == ("a", "b")
    assert found.labels.tolist() == [0, 1, 0, 1, 1]
    assert (found.train_pool.tolist(), found.val_pool.tolist()) == ([0, 1, 2], [3, 4])
    expected = pixels[[4, 0]].transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(found.read(np.array([4, 0]), 8), expected, atol=1e-6)


def test_without_classes_and_test_part_all_is_one_pool(tmp_path):
    write(tmp_path, image=[encoded(noise(8, 8))] * 2, caption=["x", "y"])
    found = load(tmp_path)
    assert found.class_names == ("all",)
    assert found.val_pool.tolist() == [0, 1]
    assert found.read(np.array([0]), 8).shape == (1, 1, 8, 8)  # grey, as the first image


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (noise(8, 8), "row 1: is grey among coloured images"),
        (noise(8, 7, 3), "row 1: is 7x8 pixels, less than data.resolution"),
        (noise(8, 8, 4), "row 1: has an alpha channel; flatten it"),
        (noise(8, 8).astype(np.uint16) * 200, "row 1: has more than 8 bits per pixel"),
    ],
    ids=["grey", "small", "alpha", "16 bits"],
)
def test_an_image_that_cannot_be_used_is_named(tmp_path, pixels, words):
    write(tmp_path, image=[encoded(noise(8, 8, 3)), encoded(pixels)])
    with pytest.raises(UnreadableError, match=words):
        load(tmp_path).read(np.array([0, 1]), 8)


def test_a_missing_image_is_named(tmp_path):
    write(tmp_path, image=[encoded(noise(8, 8, 3)), None])
    with pytest.raises(UnreadableError, match="row 1: is missing"):
        load(tmp_path).read(np.array([1]), 8)


@pytest.mark.parametrize(
    ("columns", "features", "words"),
    [
        ({"caption": ["x"]}, {}, "has no image column, only caption"),
        (
            {"image": [None], "mask": [None]},
            {"mask": datasets.Image()},
            r"has 2 columns of images \(image, mask\)",
        ),
        ({"image": [None], "label": [None]}, CLASSES, "has images without a class in its column"),
    ],
)
def test_columns_that_say_not_what_to_take_are_refused(tmp_path, columns, features, words):
    write(tmp_path, features=features, **columns)
    with pytest.raises(DataError, match=words):
        load(tmp_path)


def test_a_test_part_of_other_columns_is_refused(tmp_path):
    write(tmp_path, image=[encoded(noise(8, 8, 3))], caption=["x"])
    write(tmp_path, "test", features=CLASSES, image=[encoded(noise(8, 8, 3))], label=[0])
    with pytest.raises(DataError, match=r"data\.hub: "):
        load(tmp_path)


@pytest.mark.parametrize("keys", [{"hub": ""}, {"folder": "x"}])
def test_a_name_alone_is_expected(tmp_path, keys):
    with pytest.raises(DataError, match=r"data\.hub is missing, or data\.folder is set too"):
        load(tmp_path, **keys)


def test_a_name_without_a_network_is_one_sentence(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"data\.hub: 'no/such-data' cannot be loaded"):
        load("no/such-data")
