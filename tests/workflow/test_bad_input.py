"""Bad input gets a sentence, a non-zero exit status and no half artifact."""

import gzip
import json
import os
import struct
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


def refused(workflow, *arguments):
    """Return what a failing run says."""
    done = workflow.run(*arguments, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said.split("Logfile")[0]
    return said


def leftovers(workflow):
    """Return what is half-written anywhere."""
    return [path for path in workflow.directory.rglob("*.tmp-*") if ".snakemake" not in path.parts]


@pytest.mark.parametrize(
    ("section", "key", "value", "sentence"),
    [
        ("training", "epoch", 3, "training.epoch: unknown key; did you mean 'epochs'?"),
        ("training", "epochs", "many", 'training.epochs: found "many", expected integer'),
        ("jobs", "models_per_block", 0, "jobs.models_per_block: found 0, allowed: at least 1"),
        (
            "measurement",
            "losses",
            {"n_timesteps": 2000},
            "measurement.losses.n_timesteps: found 2000, allowed: at most",
        ),
        ("methods", "mine", {"method": "trak", "features": "t9/loss"}, "defined: t4/loss"),
    ],
)
def test_a_wrong_config_stops_before_the_dag_is_built(empty, section, key, value, sentence):
    empty.config[section][key] = value
    said = refused(empty, "-n")
    assert sentence in said
    assert "Building DAG" not in said


REMOVALS = {
    "n_queries": 2,
    "methods": ["random", "trak-4"],
    "fractions": [0.25],
    "retrain": [0.25],
    "opponents": False,
    "seeds": [42],
}


# What is added to the config's sections, and what is said about it.
NOT_MADE = {
    "a removal of all images": (
        {"counterfactual": {**REMOVALS, "fractions": [0.25, 0.99]}},
        "counterfactual.fractions: found 0.99, which removes 48 of 48 training images;",
    ),
    "a sweep over an unknown key": (
        {"sweeps": {"mine": {"method": "trak", "features": "t4/loss", "over": {"width": [1]}}}},
        "sweeps.mine.over.width: unknown key (known here: checkpoint, k, lambda,",
    ),
    "a checkpoint that is not kept": (
        {"methods": {"mine": {"method": "tracin", "features": "t4/loss", "checkpoints": [0.25]}}},
        "methods.mine.checkpoints: found 0.25, which is not kept; add it to full_model.",
    ),
    "more models than retrained": (
        {
            "methods": {"mine": {"method": "datamodel", "models": 20}},
            "measurement": {
                "subsets": {
                    "lds": {"count": 6, "fraction": 0.5, "seeds": [0]},
                    "retrain": {"count": 12, "fraction": 0.5, "seeds": [0]},
                }
            },
        },
        "methods.mine.models: found 20, but measurement.subsets.retrain.count is 12; raise it",
    ),
}


@pytest.mark.parametrize(("added", "sentence"), NOT_MADE.values(), ids=NOT_MADE)
def test_what_nothing_makes_stops_before_the_dag_is_built(empty, added, sentence):
    for section, values in added.items():
        empty.config.setdefault(section, {}).update(values)
    said = refused(empty, "all")
    assert sentence in said
    assert "Building DAG" not in said
    assert not empty.root.exists()


def test_a_removal_of_very_few_images_is_planned(empty):
    # One of 20,000; the data set need not be there to plan.
    empty.config["data"]["n_train"] = 20_000
    empty.config["counterfactual"] = {**REMOVALS, "fractions": [0.00005], "retrain": [0.00005]}
    assert "train_block" in empty.run("-n").stdout


JOURNEY = (
    "methods.journey: journey-trak follows the sampling trajectory, which only generated queries"
    " have; found split val, allowed: gen"
)


@pytest.fixture
def with_journey(empty):
    empty.config["methods"]["journey"] = {"method": "journey-trak", "features": "t4/loss"}
    return empty


def test_scores_of_queries_that_a_method_cannot_have_are_not_made(with_journey):
    for target in ("scores/journey/val.zarr.zip", "lds/journey/val.json"):
        done = with_journey.run(f"results/smoke/{target}", check=False)
        assert done.returncode != 0
        assert JOURNEY in done.stdout + done.stderr
        assert not with_journey.root.exists()
    assert "scores" in with_journey.pending("results/smoke/scores/journey/gen.zarr.zip")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Snakemake shows where in the rules an input function refuses a target",
)
def test_scores_of_queries_that_a_method_cannot_have_need_no_traceback(with_journey):
    assert JOURNEY in refused(with_journey, "results/smoke/scores/journey/val.zarr.zip")


def test_a_model_that_is_not_retrained_is_refused_in_words(empty):
    empty.config["measurement"]["subsets"]["retrain"]["count"] = 3
    shard = "results/smoke/features/t4/retrain-99-seed-0/train/0000.zarr.zip"
    done = empty.run(shard, check=False)
    assert done.returncode != 0
    words = "found subset 99, measurement.subsets.retrain.count is 3; raise it"
    assert words in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            "results/smoke/features/t4/full/val/0099.zarr.zip",
            "shard 0099 of split val: does not exist",
        ),
        (
            "results/smoke/models/lds/seed-0/block-9.safetensors",
            "block 9 of group lds: does not exist",
        ),
        (
            "results/smoke/models/counterfactual/a/proponents-0.3/seed-1/block-0.safetensors",
            "counterfactual: this section is missing; add it",
        ),
        (
            "counterfactual",
            "counterfactual: this section is missing; add it",
        ),
    ],
)
def test_a_target_that_the_benchmark_does_not_have_is_refused_in_words(empty, target, words):
    done = empty.run(target, check=False)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr


def test_what_cannot_be_fetched_says_what_to_put_where(empty):
    empty.config["data"] |= {"source": "celeba", "folder": "faces"}
    said = refused(empty, "fetch")
    assert "ERROR in fetch: data.source celeba: CelebA is distributed only by its authors" in said
    assert "put the list and the unpacked folder img_align_celeba into data.folder" in said


def fashion(workflow, folder):
    """Point the benchmark at a folder of idx files."""
    workflow.config["data"] |= {"source": "fashion-mnist", "folder": str(folder)}


def write_idx(folder, n_train=80, n_test=40):
    """Write a small data set in Fashion-MNIST's format."""
    folder.mkdir()
    for part, n in (("train", n_train), ("t10k", n_test)):
        pixels = bytes(i % 251 for i in range(n * 64))
        images = struct.pack(">4I", 0x803, n, 8, 8) + pixels
        labels = struct.pack(">2I", 0x801, n) + bytes(i % 4 for i in range(n))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def test_a_missing_data_folder(empty):
    fashion(empty, empty.directory / "nowhere")
    said = refused(empty, "results/smoke/samples/train.npy")
    assert "ERROR in data:" in said
    assert "nowhere is not a folder; fashion-mnist needs the four idx .gz files" in said


def test_a_truncated_data_file(empty):
    folder = empty.directory / "idx"
    write_idx(folder)
    fashion(empty, folder)
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert "is not a complete gzip file" in refused(empty, "results/smoke/samples/train.npy")
    assert not list(empty.root.glob("samples/*"))


def test_a_file_of_another_format(empty):
    folder = empty.directory / "idx"
    write_idx(folder)
    fashion(empty, folder)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"not an idx file"))
    assert "is not an idx file" in refused(empty, "results/smoke/samples/train.npy")


def test_a_class_that_does_not_exist(empty):
    empty.config["data"]["classes"] = [1, 12]
    assert "class 12 does not exist" in refused(empty, "results/smoke/samples/train.npy")


def test_more_images_than_there_are(empty):
    empty.config["data"]["n_train"] = 5000
    assert "data.n_train: found 5000, but only" in refused(empty, "results/smoke/samples/train.npy")


def test_a_good_folder_after_a_bad_one_goes_on(empty):
    folder = empty.directory / "idx"
    fashion(empty, folder)
    refused(empty, "results/smoke/samples/train.npy")
    write_idx(folder)
    empty.run("results/smoke/samples/train.npy")


def shard_of(workflow):
    return workflow.root / "features/t4/full/train/0000.zarr.zip"


def test_a_damaged_shard_is_set_aside_and_remade_alone(own_copy):
    shard = shard_of(own_copy)
    good = shard.read_bytes()
    stamp = shard.stat()
    damaged = bytearray(good)
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    os.utime(shard, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    # A new method is the first to read the shard again.
    own_copy.config["methods"]["gradient-dot-4"] = {"method": "gradient-dot", "features": "t4/loss"}
    target = "results/smoke/scores/gradient-dot-4/val.zarr.zip"
    said = refused(own_copy, target)
    assert "ERROR in scores:" in said
    assert "is damaged" in said
    assert not shard.exists()
    assert own_copy.pending()["features"] == {"features/t4/full/train/0000.zarr.zip"}
    own_copy.run(target)
    assert shard.read_bytes() == good
    assert own_copy.pending(target) == {}


def test_verify_finds_damaged_and_deleted_shards_and_names_the_remedy(own_copy):
    assert "Every artifact matches its checksum" in own_copy.run("verify").stdout
    shard = shard_of(own_copy)
    other = shard.with_name("0001.zarr.zip")
    good, other_good = shard.read_bytes(), other.read_bytes()
    shard.write_bytes(good[:-7])
    other.unlink()
    said = refused(own_copy, "verify")
    remedy = next(line for line in said.splitlines() if "Rebuild them: snakemake" in line)
    targets, _, config = remedy.split("snakemake ")[1].partition(" --configfile ")
    targets = targets.split()
    assert len(targets) == 2
    assert json.loads(Path(config).read_text()) == own_copy.config
    pending = own_copy.pending(targets[0])
    assert pending == {"features": {"features/t4/full/train/0000.zarr.zip"}}
    own_copy.run(*targets)
    assert (shard.read_bytes(), other.read_bytes()) == (good, other_good)
    # The same bytes came back, so nothing that was made from them has to be made again.
    assert own_copy.pending() == {}


def test_a_shard_of_another_projector_is_refused(own_copy):
    from diffattr.artifacts import provenance_path, read_arrays, write_arrays

    shard = own_copy.root / "features/t4/full/val/0000.zarr.zip"
    stored = read_arrays(shard)
    identity = dict(stored.attributes["identity"])
    identity["projector"] = {**identity["projector"], "seed": 1}
    write_arrays(shard, stored.arrays, {"identity": identity})
    provenance_path(shard).unlink()
    said = refused(own_copy, "results/smoke/predictions/trak-4/val.zarr.zip", "--force")
    assert "one score needs one projector" in said
    assert not (own_copy.root / "predictions/trak-4/val.zarr.zip").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_fails_the_job_and_leaves_nothing_half_written(empty):
    import subprocess

    results = empty.directory / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(results)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this sandbox does not allow mounting")
    try:
        said = refused(empty, "results/smoke/kernels/t4/loss/full.zarr.zip")
        assert "No space left on device" in said
        assert leftovers(empty) == []
        subprocess.run(["mount", "-o", "remount,size=100m", str(results)], check=True)
        empty.run("results/smoke/kernels/t4/loss/full.zarr.zip")
    finally:
        subprocess.run(["umount", "-l", str(results)], check=False)


def test_a_second_config_file_replaces_the_default_one(empty):
    del empty.config["training"]["epochs"]
    said = refused(empty, "-n")
    assert "training.epochs: this key is missing" in said
