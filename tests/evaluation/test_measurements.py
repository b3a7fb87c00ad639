"""Gathering loss tables: the mean over timesteps, in the order of seeds, blocks and subsets."""

import numpy as np
import pytest
import torch
from tiny import SCHEDULE

from diffattr.artifacts import ArtifactError, write_arrays
from diffattr.evaluation.measurements import Quantity, gather, quantity
from diffattr.features.output_functions import OUTPUT_FUNCTIONS, Denoising, tables_of

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
            write_arrays(paths[-1], {"loss": losses[seed, subsets]}, {"subsets": subsets})
    return losses, paths


def test_equals_the_mean_by_hand(tables):
    losses, paths = tables
    gathered, subsets = gather(paths, N_SEEDS, len(BLOCKS), Quantity("loss"))
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
        write_arrays(paths[-1], {"loss": losses}, {"subsets": subsets})
    gathered, subsets = gather(paths, 1, 2, Quantity("loss"))
    assert subsets == [10, 12, 40]
    assert gathered.shape == (1, 3, 1)


def test_losses_of_a_diverged_training_are_refused_by_name(tmp_path):
    path = tmp_path / "block-0.zarr.zip"
    table = np.ones((2, 3, 4), dtype=np.float32)
    table[1, 2, 3] = np.nan
    write_arrays(path, {"loss": table}, {"subsets": [0, 1]})
    with pytest.raises(
        ArtifactError, match=r"block-0\.zarr\.zip: holds numbers of loss .* diverged"
    ):
        gather([path], 1, 1, Quantity("loss"))


def test_a_weighted_quantity_equals_the_sum_by_hand(tables):
    losses, paths = tables
    weights = np.array([8.0, 4.0, 1.0, 0.25])
    found, _ = gather(paths, N_SEEDS, len(BLOCKS), Quantity("loss", weights))
    for seed, subset, query in ((0, 0, 0), (1, 6, 2), (1, 3, 1)):
        expected = sum(
            w * float(v) for w, v in zip(weights, losses[seed, subset, :, query], strict=True)
        )
        assert found[seed, subset, query] == pytest.approx(expected / 4, rel=1e-12)


def test_a_function_comes_from_a_table_of_its_own(tmp_path):
    path, of_squares = tmp_path / "block-0.zarr.zip", quantity("mean-squared-l2-norm", 3, SCHEDULE)
    table = np.ones((2, 3, 4), dtype=np.float32)
    tables = {"loss": table, "mean-squared-l2-norm": 5 * table}
    write_arrays(path, tables, {"subsets": [0, 1]})
    found, _ = gather([path], 1, 1, of_squares)
    assert (found == 5).all()
    write_arrays(path, {"loss": table}, {"subsets": [0, 1]})
    with pytest.raises(ArtifactError, match=r"zip: has no array 'mean-squared-l2-norm'"):
        gather([path], 1, 1, of_squares)


@pytest.mark.parametrize("name", OUTPUT_FUNCTIONS)
def test_a_quantity_is_the_mean_of_its_output_function_over_timesteps(name):
    """Whether it has a table of its own or a weighted one, to which float32 makes no difference."""
    prediction, noise = torch.randn(2, 4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    betas = np.linspace(0.0001, 0.02, 1000)
    weights = (betas / (2 * (1 - betas) * (1 - np.cumprod(1 - betas))))[[125, 375, 625, 875]]
    denoising = Denoising(prediction, noise, torch.tensor(weights, dtype=torch.float32))
    (of,) = tables_of([name])
    table = OUTPUT_FUNCTIONS[of](denoising).numpy().reshape(1, 4, 1)
    found = quantity(name, 4, SCHEDULE).mean(table)
    expected = OUTPUT_FUNCTIONS[name](denoising).double().mean().item()
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_a_weighted_quantity_needs_no_table_of_its_own():
    assert tables_of(["loss", "weighted-mse", "mean", "loss"]) == ["loss", "mean"]
