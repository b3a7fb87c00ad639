"""Shards come back in order, and what does not belong together is refused."""

import numpy as np
import pytest

from diffattr.artifacts import ArtifactError, write_arrays
from diffattr.features.store import read_shards, require_same_identity

IDENTITY = {
    "projector": {"kind": "sjlt", "k": 4, "nonzeros": 1, "seed": 0},
    "model": "abc",
    "timesteps": {"kind": "uniform", "n_timesteps": 10, "draws": 1},
    "noise": "common",
    "seed": 42,
}
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


def shard(path, rows, **changes):
    write_arrays(path, {"loss": rows, "mean": -rows}, {"identity": {**IDENTITY, **changes}})
    return path


def test_shards_come_back_in_the_order_of_their_paths(tmp_path):
    paths = [shard(tmp_path / f"{i}.zarr.zip", ROWS[2 * i : 2 * i + 2]) for i in range(3)]
    np.testing.assert_array_equal(read_shards(paths, "loss").values, ROWS)
    np.testing.assert_array_equal(read_shards(paths, "mean").values, -ROWS)
    assert read_shards(paths, "loss").identity == IDENTITY


def test_the_order_of_the_paths_counts_and_not_their_names(tmp_path):
    paths = [shard(tmp_path / name, rows) for name, rows in (("b", ROWS[:4]), ("a", ROWS[4:]))]
    np.testing.assert_array_equal(read_shards(paths, "loss").values, ROWS)
    np.testing.assert_array_equal(
        read_shards(paths[::-1], "loss").values, np.concatenate([ROWS[4:], ROWS[:4]])
    )
    assert read_shards(paths, "loss").path == paths[0]


def test_a_shard_written_twice_has_the_same_bytes(tmp_path):
    first, second = (shard(tmp_path / name, ROWS) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_one_mixed_shard_among_many_is_named(tmp_path):
    paths = [shard(tmp_path / f"{i}.zarr.zip", ROWS) for i in range(4)]
    shard(paths[2], ROWS, model="other")
    with pytest.raises(
        ArtifactError, match=r"2\.zarr\.zip: model is other, but .*0\.zarr\.zip has abc"
    ):
        read_shards(paths, "loss")


def test_an_identity_that_lacks_a_key_is_another_identity(tmp_path):
    first = shard(tmp_path / "first.zarr.zip", ROWS)
    without = {key: value for key, value in IDENTITY.items() if key != "noise"}
    write_arrays(tmp_path / "second.zarr.zip", {"loss": ROWS}, {"identity": without})
    for paths in ([first, tmp_path / "second.zarr.zip"], [tmp_path / "second.zarr.zip", first]):
        with pytest.raises(ArtifactError, match=r"noise is (None|common)"):
            read_shards(paths, "loss")


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 8], ids=["empty", "garbage"])
def test_a_damaged_shard_is_named(tmp_path, content):
    paths = [shard(tmp_path / f"{i}.zarr.zip", ROWS) for i in range(2)]
    paths[1].write_bytes(content)
    with pytest.raises(ArtifactError, match=r"1\.zarr\.zip: is not a readable zarr store"):
        read_shards(paths, "loss")
    paths[1].unlink()
    with pytest.raises(ArtifactError, match=r"1\.zarr\.zip: does not exist; build it: snakemake"):
        read_shards(paths, "loss")


def test_a_store_without_an_identity_is_refused(tmp_path):
    write_arrays(tmp_path / "other.zarr.zip", {"loss": ROWS}, {})
    with pytest.raises(ArtifactError, match="identity"):
        read_shards([tmp_path / "other.zarr.zip"], "loss")


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


def test_an_output_function_that_was_not_computed_is_named(tmp_path):
    path = shard(tmp_path / "first.zarr.zip", ROWS)
    with pytest.raises(ArtifactError, match="has no array 'l1-norm', only loss, mean"):
        read_shards([path], "l1-norm")
