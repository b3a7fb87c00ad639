"""What is written comes back as it was, and what cannot be read is refused in one sentence."""

import contextlib
import json
import os
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffattr import artifacts
from diffattr.artifacts import ArtifactError

DTYPES = ["bool", "uint8", "uint64", "int16", "int64", "float16", "float32", "float64"]
ARRAY = np.arange(6.0).reshape(2, 3)
WRITERS = {
    "text": lambda path: artifacts.write_text(path, "new"),
    "json": lambda path: artifacts.write_json(path, [1]),
    "array": lambda path: artifacts.write_array(path, ARRAY),
    "arrays": lambda path: artifacts.write_arrays(path, {"a": ARRAY}, {}),
    "tensors": lambda path: artifacts.write_tensors(path, {"a": torch.ones(3)}, {"x": "1"}),
}


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def same_bits(first, second):
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.tobytes() == second.tobytes()
    )


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_old_artifact_and_nothing_half_written(tmp_path, monkeypatch, write):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write(target)
    assert names(tmp_path) == ["a"]
    assert target.read_bytes() == b"old"


def arrays():
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    return st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


@given(arrays())
@settings(deadline=None, max_examples=60)
def test_an_array_comes_back_bit_by_bit(array):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npy")
        artifacts.write_array(path, array)
        assert same_bits(artifacts.read_array(path), array)
        assert same_bits(np.load(path, allow_pickle=False), array)


@given(st.dictionaries(st.sampled_from(["a", "b", "tau"]), arrays(), min_size=1))
@settings(deadline=None, max_examples=40)
def test_named_arrays_come_back_bit_by_bit(members):
    attributes = {"subsets": [3, 4], "identity": {"kind": "sjlt", "k": 4}, "none": None, "x": 0.1}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr.zip")
        artifacts.write_arrays(path, members, attributes)
        stored = artifacts.read_arrays(path)
    assert set(stored.arrays) == set(members)
    assert all(same_bits(stored[name], array) for name, array in members.items())
    assert stored.attributes == attributes


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_and_all_zero_arrays_keep_dtype_and_shape(tmp_path, dtype):
    members = {"no-row": np.zeros((0, 5), dtype), "zeros": np.zeros((3, 2), dtype)}
    artifacts.write_arrays(tmp_path / "a.zarr.zip", members, {})
    stored = artifacts.read_arrays(tmp_path / "a.zarr.zip")
    assert all(same_bits(stored[name], array) for name, array in members.items())
    for name, array in members.items():
        artifacts.write_array(tmp_path / f"{name}.npy", array)
        assert same_bits(artifacts.read_array(tmp_path / f"{name}.npy"), array)


def test_arrays_that_are_not_contiguous_come_back_as_they_look(tmp_path):
    views = {
        "transposed": ARRAY.T,
        "every-other": ARRAY[:, ::2],
        "fortran": np.asfortranarray(ARRAY),
    }
    artifacts.write_arrays(tmp_path / "a.zarr.zip", views, {})
    stored = artifacts.read_arrays(tmp_path / "a.zarr.zip")
    for name, view in views.items():
        assert np.array_equal(stored[name], view)
        artifacts.write_array(tmp_path / "a.npy", view)
        assert np.array_equal(artifacts.read_array(tmp_path / "a.npy"), view)


def test_an_array_whose_name_another_begins_with_comes_back(tmp_path):
    path = tmp_path / "store.zarr.zip"
    names = ("mean", "mean-squared-l2-norm", "mean-c")
    arrays = dict(zip(names, (np.arange(3.0), np.ones((2, 2)), np.zeros(())), strict=True))
    artifacts.write_arrays(path, arrays, {})
    found = artifacts.read_arrays(path)
    assert set(found.arrays) == set(arrays)
    for name, values in arrays.items():
        assert np.array_equal(found[name], values)


def test_an_array_larger_than_one_chunk_comes_back(tmp_path):
    large = np.arange(3_000_000, dtype=np.float32).reshape(1000, 3000)
    artifacts.write_arrays(tmp_path / "a.zarr.zip", {"large": large}, {})
    assert np.array_equal(artifacts.read_arrays(tmp_path / "a.zarr.zip")["large"], large)


def test_a_memory_mapped_array_holds_the_same_numbers(tmp_path):
    artifacts.write_array(tmp_path / "a.npy", ARRAY)
    mapped = artifacts.read_array(tmp_path / "a.npy", mmap=True)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, ARRAY)


@pytest.mark.parametrize("cuts", [[], [1], [3, 4], [0, 7]])
def test_an_array_written_in_chunks_is_the_file_of_the_whole_array(tmp_path, cuts):
    whole = np.random.default_rng(0).random((7, 3, 2, 5), dtype=np.float32)
    artifacts.write_array(tmp_path / "whole.npy", whole)
    artifacts.write_rows(tmp_path / "rows.npy", 7, np.split(whole, cuts))
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_chunks_that_are_not_contiguous_are_written_as_they_look(tmp_path):
    whole = np.random.default_rng(0).random((5, 6, 3))
    chunks = [np.asfortranarray(whole[:2]), whole[::-1][::-1][2:]]
    artifacts.write_rows(tmp_path / "rows.npy", 5, chunks)
    assert np.array_equal(artifacts.read_array(tmp_path / "rows.npy"), whole)


@pytest.mark.parametrize("n_rows", [0, 4, 6])
def test_more_or_fewer_rows_than_announced_leave_no_file(tmp_path, n_rows):
    with pytest.raises(ValueError, match=f"5 rows were written, expected {n_rows}"):
        artifacts.write_rows(tmp_path / "rows.npy", n_rows, [np.zeros((2, 2)), np.zeros((3, 2))])
    assert names(tmp_path) == []


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_same_content_gives_the_same_bytes(tmp_path, write, monkeypatch):
    write(tmp_path / "first")
    monkeypatch.setattr(time, "time", lambda: 2e9)  # what a zip file would write down
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    write(tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_order_of_arrays_and_attributes_does_not_change_the_arrays_that_come_back(tmp_path):
    pairs = [("a", ARRAY), ("b", ARRAY + 1)]
    artifacts.write_arrays(tmp_path / "1.zarr.zip", dict(pairs), {"x": 1})
    artifacts.write_arrays(tmp_path / "2.zarr.zip", dict(reversed(pairs)), {"x": 1})
    assert (tmp_path / "1.zarr.zip").read_bytes() == (tmp_path / "2.zarr.zip").read_bytes()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(deadline=None, max_examples=40)
def test_json_comes_back_and_is_what_any_json_reader_reads(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        try:
            artifacts.write_json(path, value)
        except UnicodeEncodeError:  # a lone surrogate is no text
            return
        assert artifacts.read_json(path) == value
        assert json.loads(path.read_text()) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [1.0, -float("inf")]}])
def test_numbers_that_json_does_not_have_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "a.json", value)
    assert names(tmp_path) == []


# --- what is not readable ---------------------------------------------------------------------


def whole(folder, kind):
    path = folder / f"whole-{kind}"
    WRITERS[kind](path)
    return path.read_bytes()


READERS = {
    "json": artifacts.read_json,
    "array": artifacts.read_array,
    "arrays": artifacts.read_arrays,
}


def assert_refused(read, path):
    with pytest.raises(ArtifactError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")  # which file
    assert f"snakemake --force {path}" in text  # what to do
    assert "\n" not in text
    assert len(text) > len(f"{path}: is not a readable  (); rebuild it: snakemake --force {path}")


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path, kind):
    path = tmp_path / "missing"
    with pytest.raises(ArtifactError) as caught:
        READERS[kind](path)
    assert str(caught.value) == f"{path}: does not exist; build it: snakemake --force {path}"


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(tmp_path, kind, share):
    content = whole(tmp_path, kind)
    path = tmp_path / "short"
    path.write_bytes(content[: min(int(share * len(content)), len(content) - 2)])
    assert_refused(READERS[kind], path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content", [b"\x00" * 500, b"\xff\xfe garbage" * 40, b"<html>error</html>"]
)
def test_garbage_is_refused(tmp_path, kind, content):
    path = tmp_path / "garbage"
    path.write_bytes(content)
    assert_refused(READERS[kind], path)


@pytest.mark.parametrize("kind", READERS)
def test_a_directory_in_a_file_s_place_is_refused(tmp_path, kind):
    path = tmp_path / "folder"
    path.mkdir()
    assert_refused(READERS[kind], path)


def test_a_zip_file_that_is_no_zarr_store_is_refused(tmp_path):
    path = tmp_path / "a.zarr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not an array")
    assert_refused(artifacts.read_arrays, path)


def test_several_arrays_in_an_array_s_place_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.savez(file, a=ARRAY, b=ARRAY)
    assert_refused(artifacts.read_array, path)


def test_an_array_of_pickled_objects_is_refused(tmp_path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert_refused(artifacts.read_array, path)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickled_object_is_never_run(tmp_path):
    path, trace = tmp_path / "payload.npy", tmp_path / "trace"
    np.save(path, np.array([Payload(trace)], dtype=object), allow_pickle=True)
    for mmap in (False, True):
        with pytest.raises(ArtifactError):
            artifacts.read_array(path, mmap=mmap)
    assert not trace.exists()


def test_an_array_of_objects_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        artifacts.write_array(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert names(tmp_path) == []


def test_a_store_without_the_wanted_array_says_which_it_has(tmp_path):
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"loss": ARRAY, "norm": ARRAY}, {})
    with pytest.raises(ArtifactError, match="no array 'tau', only loss, norm") as caught:
        artifacts.read_arrays(path)["tau"]
    assert f"snakemake --force {path}" in str(caught.value)


def test_a_flipped_byte_in_the_numbers_of_a_store_is_refused(tmp_path):
    # Every member of a zip file has a CRC.
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": ARRAY}, {})
    content = path.read_bytes()
    place = content.index(ARRAY.tobytes())
    for offset in range(0, ARRAY.nbytes, 7):
        damaged = bytearray(content)
        damaged[place + offset] ^= 1
        path.write_bytes(damaged)
        assert_refused(artifacts.read_arrays, path)


def test_a_flipped_byte_anywhere_in_a_store_is_refused_or_harmless(tmp_path):
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": ARRAY + 1}, {"k": 1})
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")  # the part of a zip file without a CRC
    for place in range(directory, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with contextlib.suppress(ArtifactError):
            stored = artifacts.read_arrays(path)
            assert np.array_equal(stored["a"], ARRAY + 1), place
            assert stored.attributes == {"k": 1}, place
