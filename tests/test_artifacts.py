"""Files appear whole or not at all, come back as they were, and show when they are damaged."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffattr import artifacts
from diffattr.artifacts import ArtifactError

DTYPES = ["bool", "uint8", "uint64", "int16", "int64", "float16", "float32", "float64"]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def same_bits(first, second):
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.tobytes() == second.tobytes()
    )


def write_sidecar(path):
    """Write what a job leaves beside its output, as far as damage is concerned."""
    artifacts.write_json(
        artifacts.provenance_path(path), {"checksum": artifacts.checksum(path), "rule": "test"}
    )


class BrokenError(Exception):
    pass


def break_off(context, work, error=BrokenError):
    """Fail inside a context after some work."""
    with context as place:
        work(place)
        raise error


def write_half(place):
    place.write_text("half")


def make_half(place):
    place.mkdir()
    (place / "2.png").write_text("half")


# --- whole or not at all ----------------------------------------------------------------------


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_while_writing_a_file_leaves_what_was_there(tmp_path, exists):
    target = tmp_path / "new folder" / "a.txt"
    if exists:
        artifacts.write_text(target, "old")
    with pytest.raises(BrokenError):
        break_off(artifacts.beside(target), write_half)
    assert names(target.parent) == (["a.txt"] if exists else [])
    assert not exists or target.read_text() == "old"


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_while_writing_a_directory_leaves_what_was_there(tmp_path, exists):
    target = tmp_path / "pictures"
    if exists:
        with artifacts.beside(target) as temporary:
            (temporary / "sub").mkdir(parents=True)
            (temporary / "sub" / "1.png").write_text("old")
    with pytest.raises(BrokenError):
        break_off(artifacts.beside(target), make_half)
    assert names(tmp_path) == (["pictures"] if exists else [])
    assert not exists or (target / "sub" / "1.png").read_text() == "old"


def test_a_new_directory_replaces_the_old_one_entirely(tmp_path):
    target = tmp_path / "pictures"
    for name in ("old.png", "new.png"):
        with artifacts.beside(target) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(tmp_path) == ["pictures"]
    assert names(target) == ["new.png"]


def test_the_temporary_lies_beside_its_target_and_does_not_count_as_it(tmp_path):
    # Renaming is atomic within one file system only.
    target = tmp_path / "a.npy"
    with artifacts.beside(target) as temporary:
        temporary.write_bytes(b"x")
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert not target.exists()
    assert names(tmp_path) == ["a.npy"]


def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    target = tmp_path / "a.txt"
    artifacts.write_text(target, "old")
    with pytest.raises(KeyboardInterrupt):
        break_off(artifacts.beside(target), write_half, KeyboardInterrupt)
    assert names(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


ENDLESS_WRITER = """
import sys
from diffattr import artifacts

with artifacts.beside(sys.argv[1]) as path, path.open("wb") as temporary:
    while True:
        temporary.write(b"x" * 2**20)
        temporary.flush()
        print("written", flush=True)
"""


def test_a_job_killed_in_the_middle_of_a_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "big.npy"
    old = np.arange(1000)
    artifacts.write_array(target, old)
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(3):
        assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    assert np.array_equal(artifacts.read_array(target), old)
    leftover = [name for name in names(tmp_path) if name != "big.npy"]
    assert len(leftover) == 1
    assert (tmp_path / leftover[0]).stat().st_size >= 3 * 2**20
    artifacts.remove_stale_temporaries(target)
    assert names(tmp_path) == ["big.npy"]


ARRAY = np.arange(6.0).reshape(2, 3)
WRITERS = {
    "text": lambda path: artifacts.write_text(path, "new"),
    "json": lambda path: artifacts.write_json(path, [1]),
    "array": lambda path: artifacts.write_array(path, ARRAY),
    "arrays": lambda path: artifacts.write_arrays(path, {"a": ARRAY}, {}),
}


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


def test_a_real_full_disk_leaves_the_old_artifact_and_nothing_half_written(tmp_path):
    # A limit on the size of files fails write() itself, as a full disk does, in the middle.
    target = tmp_path / "a.npy"
    artifacts.write_array(target, ARRAY)
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from diffattr import artifacts\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    artifacts.write_array(sys.argv[1], np.zeros(10**6))\n"
        "except OSError as error:\n"
        "    sys.exit(7)\n"
    )
    process = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert process.returncode == 7
    assert names(tmp_path) == ["a.npy"]
    assert np.array_equal(artifacts.read_array(target), ARRAY)


def test_every_file_is_flushed_before_it_takes_its_place(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def fsync(descriptor):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    target = tmp_path / "folder"
    with artifacts.beside(target) as temporary:
        (temporary / "sub").mkdir(parents=True)
        (temporary / "sub" / "file").write_text("x")
    assert {temporary, temporary / "sub" / "file"} <= set(flushed[:-1])
    assert flushed[-1] == tmp_path  # the renaming itself


# --- round trips ------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match=f"5 rows were made, {n_rows} expected"):
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
    assert len(text) > len(f"{path}: is not a readable  (); remake it: snakemake --force {path}")


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path, kind):
    path = tmp_path / "missing"
    with pytest.raises(ArtifactError) as caught:
        READERS[kind](path)
    assert str(caught.value) == f"{path}: does not exist; make it: snakemake --force {path}"


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


# --- checksums --------------------------------------------------------------------------------


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def extend(path):
    path.write_bytes(path.read_bytes() + b"\0")


def test_the_checksum_of_a_file_is_its_size_and_sha256(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc" * 1000)
    digest = hashlib.sha256(b"abc" * 1000).hexdigest()
    assert artifacts.checksum(path) == {"bytes": 3000, "sha256": digest}


def make_folder(path):
    (path / "sub").mkdir(parents=True)
    (path / "1.png").write_bytes(b"one")
    (path / "sub" / "2.png").write_bytes(b"two" * 50)


def test_a_whole_artifact_shows_no_damage(tmp_path):
    artifacts.write_array(tmp_path / "a.npy", ARRAY)
    make_folder(tmp_path / "folder")
    for path in (tmp_path / "a.npy", tmp_path / "folder"):
        write_sidecar(path)
        assert artifacts.damage(path) is None
    assert artifacts.damaged(tmp_path) == {}


@pytest.mark.parametrize("harm", [flip, truncate, extend])
def test_a_changed_file_is_found(tmp_path, harm):
    path = tmp_path / "a.npy"
    artifacts.write_array(path, ARRAY)
    write_sidecar(path)
    harm(path)
    problem = artifacts.damage(path)
    assert problem.startswith("is damaged: ")
    assert f"{path.stat().st_size} bytes" in problem
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:12] in problem


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: flip(folder / "sub" / "2.png"),
        lambda folder: truncate(folder / "1.png"),
        lambda folder: (folder / "1.png").unlink(),
        lambda folder: (folder / "more.png").write_bytes(b""),
        lambda folder: (folder / "1.png").rename(folder / "3.png"),
        lambda folder: (folder / "1.png").rename(folder / "sub" / "1.png"),
    ],
    ids=["flip", "truncate", "delete", "add", "rename", "move"],
)
def test_a_changed_directory_is_found(tmp_path, harm):
    path = tmp_path / "folder"
    make_folder(path)
    write_sidecar(path)
    harm(path)
    assert artifacts.damage(path).startswith("is damaged: ")


def test_snakemake_s_own_file_is_not_part_of_a_directory(tmp_path):
    path = tmp_path / "folder"
    make_folder(path)
    write_sidecar(path)
    (path / ".snakemake_timestamp").touch()
    assert artifacts.damage(path) is None


def test_deletion_and_missing_provenance_are_found(tmp_path):
    path = tmp_path / "a.npy"
    assert artifacts.damage(path) == "does not exist"
    artifacts.write_array(path, ARRAY)
    assert artifacts.damage(path) == "has no provenance beside it"
    write_sidecar(path)
    path.unlink()
    assert artifacts.damage(path) == "is missing, though its provenance is there"


@pytest.mark.parametrize("content", ["", "{", "null", "{}", '{"checksum": 3}', '{"checksum": {}}'])
def test_damaged_provenance_is_damage(tmp_path, content):
    path = tmp_path / "a.npy"
    artifacts.write_array(path, ARRAY)
    artifacts.provenance_path(path).write_text(content)
    assert artifacts.damage(path) == "has a damaged provenance beside it"
    assert set(artifacts.damaged(tmp_path)) == {path}


def test_every_damaged_artifact_below_a_folder_is_listed_and_no_other(tmp_path):
    paths = [tmp_path / place for place in ("a.npy", "x/b.npy", "x/y/c.npy", "x/y/d.npy")]
    for path in paths:
        artifacts.write_array(path, ARRAY)
        write_sidecar(path)
    make_folder(tmp_path / "x" / "folder")
    write_sidecar(tmp_path / "x" / "folder")
    (tmp_path / "x" / "folder" / "1.png").unlink()
    flip(paths[1])
    paths[3].unlink()
    found = artifacts.damaged(tmp_path)
    assert set(found) == {paths[1], paths[3], tmp_path / "x" / "folder"}
    assert "is missing" in found[paths[3]]
    assert set(artifacts.damaged(tmp_path / "x" / "y")) == {paths[3]}
    # What may be missing is held against its checksum where it is there.
    assert set(artifacts.damaged(tmp_path, ["x/*"])) == set(found) - {paths[3]}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_setting_aside_frees_the_place_and_keeps_the_latest_evidence(tmp_path, kind):
    path = tmp_path / "artifact"
    for content in ("first", "second"):
        if kind == "file":
            path.write_text(content)
        else:
            path.mkdir()
            (path / content).touch()
        aside = artifacts.set_aside(path)
        assert not path.exists()
        assert aside.parent == tmp_path
    assert names(tmp_path) == [aside.name]
    assert aside.read_text() == "second" if kind == "file" else names(aside) == ["second"]


# --- leftovers and scratch --------------------------------------------------------------------


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_only_the_temporaries_of_dead_processes_of_this_host_and_this_file_are_removed(tmp_path):
    host, dead = socket.gethostname(), dead_pid()
    stale = [f".a.npy.tmp-{host}-{dead}-00ff00ff", f".a.npy.tmp-{host}-{dead}-11111111"]
    kept = [
        "a.npy",
        f".a.npy.tmp-{host}-{os.getpid()}-00ff00ff",  # of a process that is alive
        f".a.npy.tmp-{host}x-{dead}-00ff00ff",  # of another host
        f".b.npy.tmp-{host}-{dead}-00ff00ff",  # of another artifact
        f".aa.npy.tmp-{host}-{dead}-00ff00ff",
    ]
    for name in [stale[0], *kept]:
        (tmp_path / name).touch()
    (tmp_path / stale[1] / "sub").mkdir(parents=True)
    (tmp_path / stale[1] / "sub" / "file").touch()
    artifacts.remove_stale_temporaries(tmp_path / "a.npy")
    assert names(tmp_path) == sorted(kept)


def test_the_names_that_beside_gives_are_the_names_that_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", dead_pid)
    monkeypatch.setattr(socket, "gethostname", lambda: "node-17-b")
    with artifacts.beside(tmp_path / "a.npy") as temporary:
        temporary.touch()
        artifacts.remove_stale_temporaries(tmp_path / "a.npy")
        assert not temporary.exists()
        temporary.touch()  # for the block's end


def test_removing_stale_temporaries_of_a_missing_folder_does_nothing(tmp_path):
    artifacts.remove_stale_temporaries(tmp_path / "missing" / "a.npy")
    assert names(tmp_path) == []


def test_scratch_survives_an_error_and_vanishes_on_success(tmp_path):
    target = tmp_path / "models" / "block-0.safetensors"
    with pytest.raises(BrokenError):
        break_off(artifacts.scratch(target), lambda place: write_half(place / "state"))
    with artifacts.scratch(target) as place:
        assert (place / "state").read_text() == "half"
    assert names(target.parent) == []


def test_scratch_is_neither_the_output_nor_in_the_way_of_its_temporaries(tmp_path):
    target = tmp_path / "a.npy"
    with artifacts.scratch(target) as place:
        assert place != target
        artifacts.write_array(target, ARRAY)
        artifacts.remove_stale_temporaries(target)
        assert place.is_dir()
    assert names(tmp_path) == ["a.npy"]
