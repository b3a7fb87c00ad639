"""Stand-ins are read as the data sets whose layout they have, and are the same every time."""

import numpy as np
import pytest
from data_sets import images_of, load, section
from stand_ins import DATA_SETS, main

from diffattr.data.splits import split

# Pools by source, from the module's docstrings.
N_TRAIN = {"artbench": 300, "celeba": 200, "cifar10": 300, "images": 160}
N_VAL = {"artbench": 120, "celeba": 80, "cifar10": 100, "images": 160}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("stand-ins")
    for source in (*DATA_SETS, "ddpm"):
        main([source, str(root / source)])
    return root


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("source", DATA_SETS)
def test_a_stand_in_is_read_as_the_data_set(root, source):
    found = load(source, root / source)
    assert len(found.train_pool) == N_TRAIN[source]
    assert len(found.val_pool) == N_VAL[source]
    for pool in (found.train_pool, found.val_pool):
        images = found.read(pool, 32)
        assert images.shape == (len(pool), 3, 32, 32)
        assert images.min() >= 0
        assert images.max() <= 1
        # No two images are alike.
        assert len(np.unique(images.reshape(len(pool), -1), axis=0)) == len(pool)


@pytest.mark.parametrize("source", [*DATA_SETS, "ddpm"])
def test_the_same_seed_writes_the_same_files_and_another_one_others(root, source, tmp_path):
    for seed in ("0", "1"):
        main([source, str(tmp_path / seed), "--seed", seed])
    first = contents(root / source)
    assert contents(tmp_path / "0") == first
    other = contents(tmp_path / "1")
    assert set(other) == set(first)
    assert all(
        other[name] != content
        for name, content in first.items()
        if not name.endswith((".txt", ".json"))
    )


@pytest.mark.parametrize("source", ["artbench", "cifar10", "images"])
def test_classes_can_be_told_apart_by_their_mean_colour(root, source):
    whole = load(source, root / source)
    wanted = section(source, root / source, n_train=100, n_val=60)
    parts = split(whole, wanted, seed=3)
    # The brightest pixels are the shape's.
    colours = {
        name: np.sort(images_of(part).reshape(len(part.positions), 3, -1), axis=2)[:, :, -6:].mean(
            2
        )
        for name, part in parts.items()
    }
    labels = np.unique(whole.labels)
    train, val = parts["train"], parts["val"]
    means = np.stack([colours["train"][train.labels == label].mean(0) for label in labels])
    distances = np.linalg.norm(colours["val"][:, None] - means, axis=2)
    assert (labels[distances.argmin(1)] == val.labels).mean() > 0.8


def test_an_unknown_source_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["imagenet", str(tmp_path)])
    assert "artbench" in capsys.readouterr().err
