"""Rule data and the subsets, through Snakemake, on stand-ins of the paper's data sets."""

import json

import numpy as np
import pytest
from stand_ins import DATA_SETS, write_images

from diffattr.artifacts import read_array
from diffattr.config import Data
from diffattr.data import DATA_SOURCES

pytestmark = pytest.mark.workflow

# Sizes, and the number of classes that are named.
CASES = {
    "cifar10": ({"classes": ["automobile", "horse"], "n_train": 40, "n_val": 12}, 10),
    "celeba": ({"n_train": 80, "n_val": 12}, 1),
    "artbench": ({"classes": ["ukiyo_e", 1], "n_train": 120, "n_val": 12}, 5),
    "images": ({"n_train": 148, "n_val": 12}, 2),
}


@pytest.mark.parametrize(("source", "case"), CASES.items(), ids=CASES)
def test_a_stand_in_s_images_and_subsets_are_made(empty, source, case):
    keys, n_classes = case
    folder = empty.directory / "data"
    DATA_SETS[source](folder, 0)
    split = {"split": "d-trak"} if source != "images" else {}
    wanted = {"source": source, "folder": str(folder), "n_planted": 0, **keys, **split}
    empty.config["data"] |= wanted
    empty.run("results/smoke/subsets/lds/block-0.npy", "results/smoke/labels/classes.json")
    root = empty.root
    found = sorted(path.name for path in (root / "samples").glob("*.npy"))
    assert found == ["train.npy", "val.npy"]
    whole = DATA_SOURCES[source].load(Data(resolution=8, **wanted))
    for name in ("train", "val"):
        positions = read_array(root / "indices" / f"{name}.npy")
        images = read_array(root / "samples" / f"{name}.npy")
        assert len(positions) == keys[f"n_{name}"]
        assert images.dtype == np.float32
        # One rounding of 2x - 1 with x in [0, 1].
        assert np.allclose(images, 2 * whole.read(positions, 8) - 1, atol=2e-7)
        assert np.array_equal(read_array(root / "labels" / f"{name}.npy"), whole.labels[positions])
    names = json.loads((root / "labels" / "classes.json").read_text())
    assert len(names) == n_classes
    members = read_array(root / "subsets" / "lds" / "block-0.npy")[0]
    assert len(members) == keys["n_train"] // 2
    assert np.all(np.diff(members) > 0)


def test_images_that_cannot_be_used_are_refused_or_left_out(empty):
    folder = empty.directory / "data"
    write_images(folder, seed=0)
    (folder / "notes.txt").write_text("mine")
    truncated = folder / "discs" / "007.png"
    truncated.write_bytes(truncated.read_bytes()[:-300])
    empty.config["data"] |= {"source": "images", "folder": str(folder), "n_planted": 0}
    empty.config["data"] |= {"n_train": 147, "n_val": 12}
    target = "results/smoke/samples/train.npy"
    done = empty.run(target, check=False)
    assert done.returncode == 1
    assert f"ERROR in data: 1 image cannot be used ({folder}/notes.txt: is not an image)" in (
        done.stdout + done.stderr
    )
    assert not (empty.root / "samples").exists()
    empty.config["data"]["unreadable"] = "skip"
    empty.run(target)
    log = (empty.root / "logs" / "data.log").read_text()
    assert f"skipped: {folder}/notes.txt: is not an image" in log
    assert f"skipped: {truncated}: " in log
    used = [read_array(empty.root / "indices" / f"{name}.npy") for name in ("train", "val")]
    assert 7 not in np.concatenate(used)
