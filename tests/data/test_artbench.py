"""ArtBench-10's table and its folders of images."""

import csv

import data_sets
import numpy as np
import pytest
from data_sets import everything, load, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffattr.data.source import UnreadableError

ROWS = [
    ("ukiyo_e", "train"),
    ("baroque", "test"),
    ("baroque", "train"),
    ("ukiyo_e", "test"),
    ("realism", "train"),
]
COLUMNS = ["name", "artist", "url", "is_public_domain", "length", "width", "label", "split"]


def write_table(folder, rows, columns=COLUMNS):
    with (folder / "ArtBench-10.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


def rows():
    return [
        {"name": f"a, {number}.jpg", "artist": 'say "x"', "label": label, "split": part}
        for number, (label, part) in enumerate(ROWS)
    ]


def image(folder, number):
    return folder / "artbench-10-imagefolder" / ROWS[number][0] / f"a, {number}.jpg"


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path, rows())
    for number in range(len(ROWS)):
        image(tmp_path, number).parent.mkdir(parents=True, exist_ok=True)
        grey = np.full((256, 256, 3), 20 * number, np.uint8)
        Image.fromarray(grey).save(image(tmp_path, number))
    return tmp_path


def test_rows_are_positions_and_styles_are_numbered_by_the_alphabet(folder):
    found = load("artbench", folder)
    assert found.class_names == ("baroque", "realism", "ukiyo_e")
    assert found.labels.tolist() == [2, 0, 0, 2, 1]
    assert found.train_pool.tolist() == [0, 2, 4]
    assert found.val_pool.tolist() == [1, 3]
    images = found.read(np.array([3, 1]), 32)
    assert images.shape == (2, 3, 32, 32)
    # A grey of JPEG may be off by one.
    assert np.allclose(images[:, 0, 0, 0] * 255, [60, 20], atol=1)


def test_full_resolution_is_the_file_s_own_pixels(folder):
    with Image.open(image(folder, 2)) as opened:
        expected = np.asarray(opened).transpose(2, 0, 1)
    assert np.array_equal(load("artbench", folder).read(np.array([2]), 256)[0] * 255, expected)


def test_files_that_cannot_be_used_are_named(folder):
    image(folder, 0).unlink()
    Image.fromarray(noise(200, 256, 3)).save(image(folder, 1))
    with pytest.raises(UnreadableError) as caught:
        everything(load("artbench", folder), 8)
    assert caught.value.problems == {
        0: "artbench-10-imagefolder/ukiyo_e/a, 0.jpg: does not exist",
        1: "artbench-10-imagefolder/baroque/a, 1.jpg: is 256x200 pixels, expected 256x256",
    }


def refusal(folder):
    return data_sets.refusal(load, "artbench", folder)


def test_a_missing_table_is_named(folder):
    (folder / "ArtBench-10.csv").unlink()
    assert "ArtBench-10.csv: does not exist" in refusal(folder)


@pytest.mark.parametrize("column", ["name", "label", "split"])
def test_a_missing_column_is_named(folder, column):
    write_table(folder, rows(), [name for name in COLUMNS if name != column])
    assert f"ArtBench-10.csv: has no column {column}" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "val"}, "line 4: found split 'val', expected train or test"),
        ({"name": "../x.jpg"}, "line 4: found '../x.jpg', expected a file name without a folder"),
        ({"label": ".."}, "line 4: found '..', expected a file name without a folder"),
        ({"label": ""}, "line 4: found ''"),
    ],
)
def test_a_row_of_another_kind_is_shown(folder, change, words):
    changed = rows()
    changed[2] |= change
    write_table(folder, changed)
    assert words in refusal(folder)


def test_a_table_without_rows_is_refused(folder):
    write_table(folder, [])
    assert "no image" in refusal(folder)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=40)
def test_a_table_of_any_bytes_is_refused_in_words(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("artbench")
    (folder / "ArtBench-10.csv").write_bytes(content)
    assert "ArtBench-10.csv" in refusal(folder)


def test_a_line_that_no_table_has_is_refused(folder):
    path = folder / "ArtBench-10.csv"
    path.write_text(path.read_text() + "x" * 200_000 + ",,,,,,ukiyo_e,train\n")
    assert "is not a CSV table (field larger than field limit" in refusal(folder)
