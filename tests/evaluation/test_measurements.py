"""Gathering loss tables: the mean over timesteps, in the order of seeds, blocks and subsets."""

import numpy as np
import pytest

from diffattr.artifacts import ArtifactError, write_arrays
from diffattr.evaluation.measurements import LOSS, SQUARES, Quantity, gather

BLOCKS = [[0, 1, 2], [3, 4, 5], [6]]
N_SEEDS, N_TIMESTEPS, N_QUERIES = 2, 4, 3


@pytest.fixture
def tables(tmp_path):
    generator = np.random.default_rng(0)
    losses = generator.random((N_SEEDS, 7, N_TIMESTEPS, N_QUERIES)).astype(np.float32)
    paths = []
    for seed in range(N_SEEDS):
        for number, subsets in enumerate(BLOCKS):
            paths.append(tmp_path / f"seed-{seed}" / f"block-{number}" / "val.zarr.zip")
            write_arrays(paths[-1], {"losses": losses[seed, subsets]}, {"subsets": subsets})
    return losses, paths


def test_equals_the_mean_by_hand(tables):
    losses, paths = tables
    gathered, subsets = gather(paths, N_SEEDS, len(BLOCKS), LOSS)
    assert subsets == list(range(7))
    assert gathered.dtype == np.float64
    for seed in range(N_SEEDS):
        for subset in range(7):
            for query in range(N_QUERIES):
                values = [float(v) for v in losses[seed, subset, :, query]]
                # 1e-15: four numbers below 1 are summed in float64 in one order or another.
                assert abs(gathered[seed, subset, query] - sum(values) / 4) < 1e-15


def test_the_subsets_are_numbered_as_the_blocks_say(tmp_path):
    paths = []
    for number, subsets in enumerate([[10, 12], [40]]):
        paths.append(tmp_path / f"{number}.zarr.zip")
        losses = np.zeros((len(subsets), 2, 1), np.float32)
        write_arrays(paths[-1], {"losses": losses}, {"subsets": subsets})
    gathered, subsets = gather(paths, 1, 2, LOSS)
    assert subsets == [10, 12, 40]
    assert gathered.shape == (1, 3, 1)


def test_losses_of_a_diverged_training_are_refused_by_name(tmp_path):
    path = tmp_path / "block-0.zarr.zip"
    table = np.ones((2, 3, 4), dtype=np.float32)
    table[1, 2, 3] = np.nan
    write_arrays(path, {"losses": table}, {"subsets": [0, 1]})
    with pytest.raises(ArtifactError, match=r"block-0\.zarr\.zip: holds losses .* diverged"):
        gather([path], 1, 1, LOSS)


def test_a_weighted_quantity_equals_the_sum_by_hand(tables):
    losses, paths = tables
    weights = np.array([8.0, 4.0, 1.0, 0.25])
    found, _ = gather(paths, N_SEEDS, len(BLOCKS), Quantity("losses", weights))
    for seed, subset, query in ((0, 0, 0), (1, 6, 2), (1, 3, 1)):
        expected = sum(
            w * float(v) for w, v in zip(weights, losses[seed, subset, :, query], strict=True)
        )
        assert found[seed, subset, query] == pytest.approx(expected / 4, rel=1e-12)


def test_squares_come_from_a_table_of_their_own(tmp_path):
    path = tmp_path / "block-0.zarr.zip"
    table = np.ones((2, 3, 4), dtype=np.float32)
    write_arrays(path, {"losses": table, "squares": 5 * table}, {"subsets": [0, 1]})
    found, _ = gather([path], 1, 1, SQUARES)
    assert (found == 5).all()
    write_arrays(path, {"losses": table}, {"subsets": [0, 1]})
    with pytest.raises(ArtifactError, match=r"block-0\.zarr\.zip: has no array 'squares'"):
        gather([path], 1, 1, SQUARES)
