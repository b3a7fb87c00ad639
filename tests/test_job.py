"""What every job does around its work."""

import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diffattr.artifacts import (
    ArtifactError,
    damage,
    provenance_path,
    read_provenance,
    write_array,
)
from diffattr.config import Losses
from diffattr.job import job


class Named(list):
    """Snakemake's lists of files: positions and names."""

    def __init__(self, **files):
        super().__init__(str(path) for path in files.values())
        self.__dict__.update({name: str(path) for name, path in files.items()})

    def items(self):
        return self.__dict__.items()


@pytest.fixture
def snakemake(tmp_path):
    source = tmp_path / "source.npy"
    write_array(source, np.arange(3))
    config = {"version": 1, "losses": {"n_timesteps": 5, "draws": 2}}
    return SimpleNamespace(
        rule="example",
        input=Named(source=source),
        output=Named(result=tmp_path / "result.npy"),
        wildcards=Named(split="val"),
        params=SimpleNamespace(config=json.dumps(config)),
        log=[str(tmp_path / "logs" / "example.log")],
        threads=1,
        resources={},
    )


def run(snakemake, content=(1, 2)):
    with job(snakemake) as this:
        print("progress")
        write_array(this.output.result, np.array(content))
    return this


def test_provenance_says_what_made_an_artifact(snakemake):
    run(snakemake)
    record = read_provenance(snakemake.output.result)
    with open(snakemake.output.result, "rb") as file:
        assert record["checksum"]["sha256"] == hashlib.sha256(file.read()).hexdigest()
    with open(snakemake.input.source, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert record["inputs"] == {snakemake.input.source: digest}
    assert record["rule"] == "example"
    assert record["wildcards"] == {"split": "val"}
    assert record["config"]["losses"]["n_timesteps"] == 5
    assert record["versions"]["numpy"] == np.__version__


def test_sections_are_typed(snakemake):
    with job(snakemake) as this:
        assert this.section("losses", Losses) == Losses(n_timesteps=5, draws=2)
        write_array(this.output.result, np.zeros(1))


def test_output_goes_to_the_log(snakemake, capfd):
    run(snakemake)
    assert "progress" in Path(snakemake.log[0]).read_text()
    assert "progress" not in capfd.readouterr().out


def test_an_error_for_people_is_one_sentence_and_the_traceback_is_in_the_log(snakemake, capfd):
    with pytest.raises(SystemExit) as stop, job(snakemake):
        raise ArtifactError("scores.zarr.zip: is not readable; rebuild it")
    assert stop.value.code == 1
    terminal = capfd.readouterr().err
    assert "ERROR in example: scores.zarr.zip: is not readable; rebuild it" in terminal
    assert "Traceback" not in terminal
    assert "Traceback" in Path(snakemake.log[0]).read_text()
    assert not os.path.exists(snakemake.output.result)


def test_a_defect_is_named_by_its_type(snakemake, capfd):
    with pytest.raises(SystemExit), job(snakemake):
        raise KeyError("surprise")
    assert "ERROR in example: KeyError('surprise')" in capfd.readouterr().err


def test_a_damaged_input_is_set_aside_before_any_work(snakemake, tmp_path, capfd):
    run(snakemake)
    made = snakemake.output.result
    with open(made, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    follower = SimpleNamespace(**vars(snakemake))
    follower.input, follower.output = Named(source=made), Named(result=tmp_path / "next.npy")
    worked = []
    with pytest.raises(SystemExit), job(follower):
        worked.append(True)
    assert not worked
    assert "is damaged" in capfd.readouterr().err
    assert not os.path.exists(made)
    assert os.path.exists(made + ".damaged")


def test_the_same_bytes_keep_their_time_and_other_bytes_get_a_new_one(snakemake):
    run(snakemake)
    old = os.stat(snakemake.output.result).st_mtime_ns
    os.remove(snakemake.output.result)
    run(snakemake)
    assert os.stat(snakemake.output.result).st_mtime_ns == old
    os.remove(snakemake.output.result)
    run(snakemake, content=(3, 4))
    assert os.stat(snakemake.output.result).st_mtime_ns > old


def test_the_same_bytes_are_never_older_than_an_input(snakemake):
    run(snakemake)
    later = os.stat(snakemake.output.result).st_mtime_ns + 5_000_000_000
    os.utime(snakemake.input.source, ns=(later, later))
    run(snakemake)
    # Else Snakemake would find the output older than its input and run the job for ever.
    assert os.stat(snakemake.output.result).st_mtime_ns >= later


@pytest.mark.parametrize("left", ["{", "[]", "{}"])
def test_a_damaged_provenance_is_replaced_when_the_artifact_is_remade(snakemake, left):
    run(snakemake)
    provenance_path(snakemake.output.result).write_text(left)
    run(snakemake)
    assert damage(snakemake.output.result) is None
