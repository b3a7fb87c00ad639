"""Arrays, stores and JSON from an attacker, a failing disk or another program: each refused."""

import json
import zipfile

import numpy as np
import pytest
from hostile_files import refusal

from diffattr import artifacts


def npy(header):
    """Return an array file of this header and no data."""
    padded = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def shaped(shape, descr="<f8"):
    return npy(repr({"descr": descr, "fortran_order": False, "shape": shape}))


HEADERS = {
    "7 PiB": shaped((10**15,)),
    "more than 64 bits": shaped((10**21,)),
    "negative": shaped((-1,)),
    "objects": shaped((3,), "|O"),
    "no type": shaped((3,), "nonsense"),
    "keys of two types": npy("{1: 2, 'a': 3}"),
    "an open bracket": npy("{'descr': ("),
    "a call": npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (3,)}"),
    "deep": npy("(" * 9000),
}


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mmap"])
@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_the_header_of_an_array_is_not_trusted(tmp_path, content, mmap):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    refusal(lambda path: artifacts.read_array(path, mmap=mmap), path)


def test_several_arrays_in_one_file_are_no_array(tmp_path):
    path = tmp_path / "a.npy"
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    (tmp_path / "a.npz").rename(path)
    refusal(artifacts.read_array, path)


def test_a_member_named_outside_of_the_store_is_not_unpacked(tmp_path):
    path = tmp_path / "folder" / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(3)}, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped", "x")
        archive.writestr(f"{tmp_path}/absolute", "x")
    refusal(artifacts.read_arrays, path)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["folder", "a.zarr.zip"]


def rewritten(source, target, change):
    """Copy a store member by member, through `change(name, content)`; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def test_a_store_whose_numbers_were_left_out_is_refused(tmp_path):
    # To zarr a missing chunk is a chunk of zeros.
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})
    rewritten(path, changed, lambda name, content: None if "/c/" in name else content)
    refusal(artifacts.read_arrays, changed)


def test_an_array_of_zeros_is_not_taken_for_one_whose_numbers_were_left_out(tmp_path):
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.zeros((2, 3)), "none": np.zeros((0, 3))}, {})
    stored = artifacts.read_arrays(path)
    assert stored["a"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert stored["none"].shape == (0, 3)


@pytest.mark.parametrize(
    "harm",
    [
        lambda metadata: metadata | {"shape": [10**15]},
        lambda metadata: metadata | {"shape": "many"},
        lambda metadata: metadata | {"data_type": "object"},
        lambda metadata: metadata | {"codecs": [{"name": "pickle"}]},
        lambda _: {},
        lambda _: [],
    ],
    ids=["7 PiB", "shape", "type", "codec", "empty", "list"],
)
def test_the_metadata_of_a_store_are_not_trusted(tmp_path, harm):
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})

    def change(name, content):
        return json.dumps(harm(json.loads(content))) if name == "a/zarr.json" else content

    rewritten(path, changed, change)
    refusal(artifacts.read_arrays, changed)


def test_json_without_an_end_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    refusal(artifacts.read_json, path)
