"""Shards come back in order, and what does not belong together is refused."""

import numpy as np
import pytest

from diffattr.artifacts import ArtifactError
from diffattr.features.store import read_shards, require_same_identity, write_shard

IDENTITY = {
    "projector": {"kind": "sjlt", "k": 4, "nonzeros": 1, "seed": 0},
    "model": "abc",
    "timesteps": {"kind": "uniform", "n_timesteps": 10, "draws": 1},
    "noise": "common",
    "seed": 42,
}
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


def shard(path, rows, **changes):
    write_shard(path, {"loss": rows, "mean": -rows}, {**IDENTITY, **changes})
    return path


def test_shards_come_back_in_the_order_of_their_paths(tmp_path):
    paths = [shard(tmp_path / f"{i}.zarr.zip", ROWS[2 * i : 2 * i + 2]) for i in range(3)]
    np.testing.assert_array_equal(read_shards(paths, "loss").values, ROWS)
    np.testing.assert_array_equal(read_shards(paths, "mean").values, -ROWS)
    assert read_shards(paths, "loss").identity == IDENTITY


@pytest.mark.parametrize(
    "changes",
    [
        {"projector": {**IDENTITY["projector"], "seed": 1}},
        {"model": "abd"},
        {"timesteps": {**IDENTITY["timesteps"], "n_timesteps": 100}},
        {"noise": "per-image"},
        {"seed": 43},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_two_identities_never_meet(tmp_path, changes):
    first = shard(tmp_path / "first.zarr.zip", ROWS)
    second = shard(tmp_path / "second.zarr.zip", ROWS, **changes)
    key = next(iter(changes))
    with pytest.raises(ArtifactError, match=f"second.zarr.zip: {key} is .*first.zarr.zip has"):
        read_shards([first, second], "loss")
    sides = [read_shards([path], "loss") for path in (first, second)]
    with pytest.raises(ArtifactError, match="needs one projector, model and timestep set"):
        require_same_identity(*sides)


def test_an_output_function_that_was_not_taken_is_named(tmp_path):
    path = shard(tmp_path / "first.zarr.zip", ROWS)
    with pytest.raises(ArtifactError, match="has no array 'l1-norm', only loss, mean"):
        read_shards([path], "l1-norm")
