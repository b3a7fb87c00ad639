"""Files that jobs read, damaged or of another content: each is named in one sentence."""

import json

import numpy as np
import pytest
from hostile_files import (
    IDENTITY,
    JOBS,
    LISTS,
    N_STEPS,
    ORDER,
    OUTCOMES,
    Payload,
    compared_removals_job,
    curvature_features_job,
    curvature_scores_job,
    drawn,
    embedding_job,
    fitted,
    originals_job,
    outcomes_job,
    planted_job,
    removals_job,
    selected_job,
    trajectories_job,
    written,
)

from diffattr import artifacts

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


@every_job
def test_a_job_reads_what_was_made_for_it(tmp_path, job):
    _, made = job(tmp_path)
    made.run()
    assert all(path.stat().st_size > 0 for path in made.outputs)


@every_job
def test_a_job_sets_a_damaged_file_aside(tmp_path, capfd, job):
    path, made = job(tmp_path)
    record = {"checksum": artifacts.checksum(path)}
    artifacts.write_json(artifacts.provenance_path(path), record)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{path}: is damaged: " in made.refusal(capfd)
    assert not path.exists()
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content


@every_job
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY\x01\x00", b"[]" * 50])
def test_a_job_names_the_file_that_it_cannot_read(tmp_path, capfd, job, content):
    path, made = job(tmp_path)
    path.write_bytes(content)
    assert f"{path}: is not a readable " in made.refusal(capfd)


@every_job
def test_a_job_unpickles_nothing(tmp_path, capfd, job):
    path, made = job(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.array([Payload(tmp_path / "trace")]), allow_pickle=True)
    assert f"{path}: is not a readable " in made.refusal(capfd)
    assert not (tmp_path / "trace").exists()


def lists(**changes):
    return lambda path: written(path, **{**LISTS, "queries": [0, 1], **changes})


def outcomes(**changes):
    return lambda path: written(path, **{**OUTCOMES, **changes})


def array(*shape):
    return lambda path: artifacts.write_array(path, drawn(*shape))


def originals(**changes):
    return lambda path: written(path, **{"losses": drawn(2, 4), "queries": [0, 1], **changes})


def content(value):
    # Not by write_json, which refuses what is no JSON.
    return lambda path: path.write_text(json.dumps(value))


def curvature(**arrays):
    return lambda path: written(path, **arrays)


def curvature_of_another_network(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    name = next(name for name in stored.arrays if name.endswith(":A"))
    smaller = {**stored.arrays, name: stored[name][1:, 1:]}
    written(path, **smaller, identity=IDENTITY)


def curvature_without_a_layer(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    _, *names = stored.arrays
    written(path, **{name: stored[name] for name in names}, identity=IDENTITY)


def curvature_without_identity(path):
    fitted().write(path, IDENTITY)
    written(path, **artifacts.read_arrays(path).arrays)


def curvature_of_no_numbers(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    nothing = {name: np.full_like(values, np.nan) for name, values in stored.arrays.items()}
    written(path, **nothing, identity=IDENTITY)


NOT_ALL = "proponents are not all 8 training images"
# The job, what stands in the file that it reads instead, and words of the refusal.
CONTENTS = {
    "removals of one side": (
        removals_job,
        lambda path: written(path, opponents=LISTS["opponents"]),
        "has no array 'proponents', only opponents",
    ),
    "removals of fewer images": (removals_job, lists(proponents=ORDER[:, :1]), NOT_ALL),
    "removals of an image that is not there": (removals_job, lists(proponents=ORDER + 1), NOT_ALL),
    "removals of one image twice": (
        removals_job,
        lists(proponents=np.where(ORDER == 0, 7, ORDER)),
        NOT_ALL,
    ),
    "removals for fewer queries": (removals_job, lists(proponents=ORDER[:1]), NOT_ALL),
    "removals of other queries": (
        removals_job,
        lists(queries=[5, 6]),
        "of queries [5, 6], expected [0, 1]",
    ),
    "removals that are no numbers": (
        removals_job,
        lists(proponents=np.where(ORDER == 7, np.nan, ORDER.astype(float))),
        NOT_ALL,
    ),
    "removals that are no whole numbers": (
        removals_job,
        lists(proponents=ORDER.astype(np.float32)),
        NOT_ALL,
    ),
    "removals of fewer images, compared": (
        compared_removals_job,
        lists(proponents=ORDER[:, :1]),
        NOT_ALL,
    ),
    "originals of other queries": (
        originals_job,
        originals(queries=[2, 3]),
        "of queries [2, 3], expected [0, 1]",
    ),
    "originals of one query": (
        originals_job,
        originals(losses=drawn(1, 4)),
        "losses of shape (1, 4), expected (2, 4)",
    ),
    "originals that are no numbers": (
        originals_job,
        originals(losses=np.full((2, 4), np.nan, np.float32)),
        "holds losses that are not finite numbers",
    ),
    **{
        f"selected lambda {value!r}": (
            selected_job,
            content(value),
            "is not a readable selected lambda",
        )
        for value in ({}, [], None, {"lambda": None}, {"lambda": True}, {"lambda": -5.0})
    },
    "selected lambda that is no number": (
        selected_job,
        content({"lambda": float("nan")}),
        "lambda is nan",
    ),
    "planted scores without lambda": (
        planted_job,
        lambda path: written(path, scores=drawn(2, 8)),
        "has no attribute 'lambda'",
    ),
    "outcomes without losses": (
        outcomes_job,
        lambda path: written(path, samples=OUTCOMES["samples"], queries=[0, 1]),
        "has no array 'losses', only samples",
    ),
    "outcomes of one query": (
        outcomes_job,
        outcomes(samples=drawn(1, 1, 8, 8), losses=drawn(1, 4)),
        "samples of shape (1, 1, 8, 8), expected (2, 1, 8, 8)",
    ),
    "outcomes of other queries": (
        outcomes_job,
        outcomes(queries=[2, 3]),
        "of queries [2, 3], expected [0, 1]",
    ),
    "outcomes of another size": (
        outcomes_job,
        outcomes(samples=drawn(2, 1, 4, 4)),
        "samples of shape (2, 1, 4, 4), expected (2, 1, 8, 8)",
    ),
    "outcomes that are no numbers": (
        outcomes_job,
        outcomes(samples=np.full((2, 1, 8, 8), np.nan, np.float32)),
        "holds samples that are not finite numbers",
    ),
    "embedding of another length": (embedding_job, array(8, 4), "has 4; rebuild both"),
    "embedding that is no numbers": (
        embedding_job,
        lambda path: artifacts.write_array(path, np.full((8, 5), np.nan, np.float32)),
        "contains NaN or infinity",
    ),
    "curvature without eigenvalues": (
        curvature_scores_job,
        curvature(identity=IDENTITY),
        "has no array 'eigenvalues'",
    ),
    "curvature of another model": (
        curvature_scores_job,
        curvature(eigenvalues=np.abs(drawn(6)), identity={**IDENTITY, "model": "f0"}),
        "its coordinates are those of",
    ),
    "curvature of fewer coordinates": (
        curvature_scores_job,
        curvature(eigenvalues=np.abs(drawn(5)), identity=IDENTITY),
        "expected 6 finite ones",
    ),
    "curvature of another network": (
        curvature_features_job,
        curvature_of_another_network,
        "a curvature belongs to one network",
    ),
    "curvature without a layer": (
        curvature_features_job,
        curvature_without_a_layer,
        "has no array ",
    ),
    "curvature without identity": (
        curvature_features_job,
        curvature_without_identity,
        "has no attribute 'identity'",
    ),
    "curvature that is no numbers": (curvature_features_job, curvature_of_no_numbers, "finite"),
    "images in place of trajectories": (
        trajectories_job,
        array(2, 1, 8, 8),
        "of shape (2, 1, 8, 8), expected (2, 3, 1, 8, 8)",
    ),
    "trajectories of one image": (
        trajectories_job,
        array(1, N_STEPS, 1, 8, 8),
        "of shape (1, 3, 1, 8, 8), expected (2, 3, 1, 8, 8)",
    ),
    "trajectories that are no numbers": (
        trajectories_job,
        lambda path: artifacts.write_array(path, np.full((2, N_STEPS, 1, 8, 8), np.nan, "f4")),
        "holds numbers that are not finite",
    ),
    "trajectories of one step": (
        trajectories_job,
        array(2, 1, 1, 8, 8),
        "of shape (2, 1, 1, 8, 8), expected (2, 3, 1, 8, 8)",
    ),
    "trajectories of other steps": (
        trajectories_job,
        array(2, N_STEPS + 1, 1, 8, 8),
        "of shape (2, 4, 1, 8, 8), expected (2, 3, 1, 8, 8)",
    ),
    "trajectories in colour": (
        trajectories_job,
        array(2, N_STEPS, 3, 8, 8),
        "of shape (2, 3, 3, 8, 8), expected (2, 3, 1, 8, 8)",
    ),
}


@pytest.mark.parametrize(("job", "write", "words"), CONTENTS.values(), ids=CONTENTS)
def test_a_job_names_the_file_whose_content_is_not_what_it_needs(
    tmp_path, capfd, job, write, words
):
    path, made = job(tmp_path)
    write(path)
    said = made.refusal(capfd)
    assert str(path) in said
    assert words in said
