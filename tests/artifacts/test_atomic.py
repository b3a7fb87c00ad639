"""Writes of files and directories are atomic."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffattr import artifacts

ARRAY = np.arange(6.0).reshape(2, 3)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


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


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_while_writing_a_file_leaves_what_was_there(tmp_path, exists):
    target = tmp_path / "new folder" / "a.txt"
    if exists:
        artifacts.write_text(target, "old")
    with pytest.raises(BrokenError):
        break_off(artifacts.atomic_write(target), write_half)
    assert names(target.parent) == (["a.txt"] if exists else [])
    assert not exists or target.read_text() == "old"


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_while_writing_a_directory_leaves_what_was_there(tmp_path, exists):
    target = tmp_path / "pictures"
    if exists:
        with artifacts.atomic_write(target) as temporary:
            (temporary / "sub").mkdir(parents=True)
            (temporary / "sub" / "1.png").write_text("old")
    with pytest.raises(BrokenError):
        break_off(artifacts.atomic_write(target), make_half)
    assert names(tmp_path) == (["pictures"] if exists else [])
    assert not exists or (target / "sub" / "1.png").read_text() == "old"


def test_a_new_directory_replaces_the_old_one_entirely(tmp_path):
    target = tmp_path / "pictures"
    for name in ("old.png", "new.png"):
        with artifacts.atomic_write(target) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(tmp_path) == ["pictures"]
    assert names(target) == ["new.png"]


def test_the_temporary_lies_beside_its_target_and_does_not_count_as_it(tmp_path):
    # Renaming is atomic within one file system only.
    target = tmp_path / "a.npy"
    with artifacts.atomic_write(target) as temporary:
        temporary.write_bytes(b"x")
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert not target.exists()
    assert names(tmp_path) == ["a.npy"]


def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    target = tmp_path / "a.txt"
    artifacts.write_text(target, "old")
    with pytest.raises(KeyboardInterrupt):
        break_off(artifacts.atomic_write(target), write_half, KeyboardInterrupt)
    assert names(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


ENDLESS_WRITER = """
import sys
from diffattr import artifacts

with artifacts.atomic_write(sys.argv[1]) as path, path.open("wb") as temporary:
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
    with artifacts.atomic_write(target) as temporary:
        (temporary / "sub").mkdir(parents=True)
        (temporary / "sub" / "file").write_text("x")
    assert {temporary, temporary / "sub" / "file"} <= set(flushed[:-1])
    assert flushed[-1] == tmp_path  # the renaming itself


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
    with artifacts.atomic_write(tmp_path / "a.npy") as temporary:
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
