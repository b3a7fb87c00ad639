"""A change reruns what it touches and nothing else: each test asks Snakemake for its job list."""

import re
import time

import pytest

pytestmark = pytest.mark.workflow

FROM_PREDICTIONS = {"predictions", "lds_of_method", "scores", "planted", "build_report"}


def test_a_finished_benchmark_has_nothing_to_do(finished):
    assert finished.pending() == {}


def test_nothing_to_do_takes_seconds(finished):
    started = time.monotonic()
    output = finished.run("all").stderr
    # A bound against a hang, not a measurement: the figure is in benchmarks/.
    assert time.monotonic() - started < 30
    assert "Nothing to be done" in output


def test_a_lambda_changes_predictions_and_what_follows(workflow):
    workflow.config["measurement"]["lambdas"]["relative"].append(100.0)
    pending = workflow.pending()
    assert set(pending) == FROM_PREDICTIONS | {"select_lambda"}
    # Methods without lambda have nothing to predict again.
    assert pending["predictions"] == {
        f"predictions/{method}/{split}.zarr.zip"
        for method in ("trak-4", "d-trak-4")
        for split in ("val", "gen")
    }


@pytest.mark.parametrize(("option", "value"), [("top", 2), ("published", "cifar2")])
def test_a_report_option_changes_the_report_only(workflow, option, value):
    workflow.config["report"][option] = value
    assert set(workflow.pending()) == {"build_report"}


def test_a_method_on_existing_features_takes_no_gradient(workflow):
    workflow.config["methods"]["gradient-dot-4"] = {
        "method": "gradient-dot",
        "features": "t4/loss",
    }
    pending = workflow.pending()
    assert set(pending) == FROM_PREDICTIONS
    made = set.union(*(pending[rule] for rule in FROM_PREDICTIONS - {"planted", "build_report"}))
    assert {path.split("/")[1] for path in made} == {"gradient-dot-4"}


def test_a_new_pass_adds_that_pass_and_what_hangs_on_it(workflow):
    workflow.config["features"]["t50"] = {**workflow.config["features"]["t4"], "n_timesteps": 50}
    workflow.config["methods"]["trak-50"] = {"method": "trak", "features": "t50/loss"}
    pending = workflow.pending()
    assert set(pending) == FROM_PREDICTIONS | {
        "features",
        "check_features",
        "kernel",
        "select_lambda",
    }
    assert all(path.startswith("features/t50/") for path in pending["features"])
    assert pending["kernel"] == {"kernels/t50/loss/full.zarr.zip"}
    assert {path.split("/")[1] for path in pending["scores"]} == {"trak-50"}


def test_more_subsets_train_only_new_blocks(workflow):
    # Six subsets in blocks of three leave no short block.
    assert workflow.config["measurement"]["subsets"]["lds"]["count"] == 6
    assert workflow.config["jobs"]["models_per_block"] == 3
    workflow.config["measurement"]["subsets"]["lds"]["count"] = 9
    pending = workflow.pending()
    assert pending["train_block"] == {
        f"models/lds/seed-{seed}/block-2.safetensors" for seed in (0, 1)
    }
    assert pending["losses"] == {
        f"losses/lds/seed-{seed}/block-2/{split}.zarr.zip"
        for seed in (0, 1)
        for split in ("val", "gen")
    }
    untouched = {"data", "train_full", "generate", "features", "kernel", "check_features"}
    assert not untouched & set(pending)


def test_one_more_training_seed_trains_only_that_seed(workflow):
    workflow.config["measurement"]["subsets"]["lds"]["seeds"] = [0, 1, 2]
    pending = workflow.pending()
    assert all("seed-2" in path for path in pending["train_block"] | pending["losses"])
    # Predictions know nothing of training seeds.
    assert "predictions" not in pending


def test_the_learning_rate_changes_everything_from_training_on(workflow):
    workflow.config["training"]["learning_rate"] = 0.002
    pending = workflow.pending()
    assert not {"data", "subsets"} & set(pending)
    everything = {"train_full", "train_block", "generate", "losses", "measurements"}
    everything |= {"features", "check_features", "kernel", "select_lambda"} | FROM_PREDICTIONS
    assert everything == set(pending)


def test_one_kept_checkpoint_less_trains_nothing(workflow):
    workflow.config["full_model"]["checkpoints"] = [0.0]
    assert set(workflow.pending()) == {"build_report"}


def test_the_full_model_s_seed_leaves_subset_models_alone(workflow):
    workflow.config["full_model"]["seed"] = 7
    pending = workflow.pending()
    assert "train_full" in pending
    assert "train_block" not in pending


def test_job_sizes_that_change_no_number_rerun_only_the_report_that_shows_them(workflow):
    workflow.config["jobs"]["batch_size"] = 7
    workflow.config["jobs"]["threads"] = 2
    workflow.config["jobs"]["save_state_every_s"] = 1
    assert set(workflow.pending()) == {"build_report"}


def test_a_raised_result_version_reruns_its_stage_and_what_follows(workflow, tmp_path):
    # A copy of the package in which only the version of the feature stage differs.
    import shutil

    from diffattr import versions

    package = tmp_path / "diffattr"
    shutil.copytree(versions.__file__.removesuffix("/versions.py"), package)
    text = (package / "versions.py").read_text()
    raised, found = re.subn(r'"features": (\d+)', r'"features": 100\1', text)
    assert found == 1
    (package / "versions.py").write_text(raised)
    rows = workflow.run("all", "--summary", PYTHONPATH=str(tmp_path)).stdout.splitlines()
    pending = {row.split("\t")[2] for row in rows[1:] if not row.endswith("no update")}
    assert pending == {"features", "check_features", "kernel", "select_lambda"} | FROM_PREDICTIONS


def test_one_artifact_can_be_asked_for_alone(empty):
    pending = empty.pending("results/smoke/features/t4/full/train/0000.zarr.zip")
    assert set(pending) == {"data", "train_full", "features"}
    assert pending["features"] == {"features/t4/full/train/0000.zarr.zip"}
