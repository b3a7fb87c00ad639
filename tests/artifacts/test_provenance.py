"""Damaged and missing artifacts are found by the checksums beside them."""

import hashlib

import numpy as np
import pytest

from diffattr import artifacts

ARRAY = np.arange(6.0).reshape(2, 3)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def write_sidecar(path):
    """Write what a job leaves beside its output, as far as damage is concerned."""
    artifacts.write_json(
        artifacts.provenance_path(path), {"checksum": artifacts.checksum(path), "rule": "test"}
    )


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
    assert artifacts.damage(path) == "has no provenance"
    write_sidecar(path)
    path.unlink()
    assert artifacts.damage(path) == "is missing, but its provenance exists"


@pytest.mark.parametrize("content", ["", "{", "null", "{}", '{"checksum": 3}', '{"checksum": {}}'])
def test_damaged_provenance_is_damage(tmp_path, content):
    path = tmp_path / "a.npy"
    artifacts.write_array(path, ARRAY)
    artifacts.provenance_path(path).write_text(content)
    assert artifacts.damage(path) == "has a damaged provenance"
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
