"""What a change of several models' methods, sweeps and redrawn queries reruns."""

import pytest
from further import REPORT, SPLITS

pytestmark = pytest.mark.workflow


@pytest.fixture
def changed(further):
    """The finished benchmark with a config that the test may change (its files stay)."""
    return further.with_own_config()


@pytest.fixture
def own_copy(further, tmp_path):
    """A copy of the finished benchmark in which a test may make files."""
    return further.copied(tmp_path)


OF_METHOD = {
    "predictions": "predictions/{}/{}.zarr.zip",
    "lds_of_method": "lds/{}/{}.json",
    "scores": "scores/{}/{}.zarr.zip",
}


def of_method(method, rules=tuple(OF_METHOD)):
    """Return what is made of every method, and of one without lambda nothing else."""
    return {rule: {OF_METHOD[rule].format(method, split) for split in SPLITS} for rule in rules}


def of_kernel_method(method):
    return {
        **of_method(method),
        "select_lambda": {f"selected/{method}/{split}.json" for split in SPLITS},
    }


def shards(gradient_pass, model, splits=("train", *SPLITS)):
    return {f"features/{gradient_pass}/{model}/{split}/0000.zarr.zip" for split in splits}


def removed(method, side, seed=42):
    """Return what retraining without a method's images makes, its list apart."""
    group = f"counterfactual/{method}/{side}-0.25"
    return {
        "remaining": {f"subsets/{group}/block-0.npy"},
        "train_block": {f"models/{group}/seed-{seed}/block-0.safetensors"},
        "redraw": {f"counterfactual/outcomes/{group}/seed-{seed}/block-0.zarr.zip"},
    }


COMPARED = {"compare_redrawn": {"counterfactual/result.json"}}


def pending(workflow):
    """Return what would be made next to the report, which follows every change."""
    found = workflow.pending()
    assert found.pop("build_report") == REPORT
    return found


def test_a_kernel_method_on_existing_features_takes_no_gradient(changed):
    changed.config["methods"]["mine"] = {"method": "relative-influence", "features": "t4/loss"}
    assert pending(changed) == of_kernel_method("mine")


def test_an_ensemble_of_full_models_trains_the_other_seed_only(changed):
    ensemble = {"of": "full", "count": 2}
    changed.config["methods"]["mine"] = {
        **changed.config["methods"]["trak-4"],
        "ensemble": ensemble,
    }
    folder = "models/full/seed-43"
    assert pending(changed) == {
        "train_full_seed": {
            f"{folder}/{name}" for name in ("config.json", "diffusion_pytorch_model.safetensors")
        },
        "features": shards("t4", "full-seed-43"),
        "kernel": {"kernels/t4/loss/full-seed-43.zarr.zip"},
        **of_kernel_method("mine"),
    }


def test_a_larger_ensemble_of_models_that_are_there_takes_the_gradients_of_one_more(changed):
    changed.config["methods"]["trak-4-half"]["ensemble"]["count"] = 2
    assert pending(changed) == {
        "features": shards("t4", "retrain-1-seed-0"),
        "kernel": {"kernels/t4/loss/retrain-1-seed-0.zarr.zip"},
        **of_kernel_method("trak-4-half"),
    }


def test_checkpoints_of_a_method_take_gradients_where_there_are_none(changed):
    changed.config["methods"]["tracin-4"]["checkpoints"] = [1.0]
    assert pending(changed) == of_method("tracin-4")
    changed.config["methods"]["tracin-4"]["checkpoints"] = [0.0, 0.5, 1.0]
    assert pending(changed) == {
        "features": shards("t4", "full-step-0"),
        **of_method("tracin-4"),
    }


def test_a_checkpoint_that_was_not_kept_can_be_made_first_and_leaves_the_rest(own_copy):
    own_copy.config["full_model"]["checkpoints"] = [0.0, 0.25, 0.5]
    own_copy.config["methods"]["tracin-4"]["checkpoints"] = [0.25, 1.0]
    # A quarter of 18 steps is 4. Training again gives the same bytes.
    own_copy.run("results/smoke/models/full/seed-42/checkpoints/4/config.json")
    assert pending(own_copy) == {"features": shards("t4", "full-step-4"), **of_method("tracin-4")}


def test_another_cell_of_a_sweep_takes_the_gradients_of_that_cell(changed):
    changed.config["sweeps"]["projections"]["over"]["k"] = [64, 128, 256]
    assert pending(changed) == {
        "features": shards("projections-k128", "full"),
        "kernel": {"kernels/projections-k128/loss/full.zarr.zip"},
        "check_features": {"checks/projections-k128.json"},
        **of_method("projections-k128", ("predictions", "lds_of_method")),
    }


def test_a_cell_whose_features_are_there_takes_no_gradient(changed):
    over = {"checkpoint": [0.5, 1.0]}
    sweep = {"method": "gradient-dot", "features": "t4/loss", "over": over}
    changed.config["sweeps"]["checkpoints"] = sweep
    # Without lambda, predictions are made from scores.
    first, second = of_method("checkpoints-at-0-5"), of_method("checkpoints-at-1-0")
    assert pending(changed) == {rule: first[rule] | second[rule] for rule in OF_METHOD}


def test_an_embedding_takes_no_gradient(changed):
    changed.config["methods"]["mine"] = {"method": "embedding-dot", "embedding": "bottleneck"}
    embedded = {f"embeddings/bottleneck/{split}.npy" for split in ("train", *SPLITS)}
    assert pending(changed) == {"embed": embedded, **of_method("mine")}


def test_a_curvature_comes_with_its_own_pass(changed):
    changed.config["curvatures"] = {
        "ekfac": {"n_timesteps": 2, "draws": 1, "approximation": "expand"}
    }
    changed.config["features"]["rotated"] = {
        **changed.config["features"]["t4"],
        "curvature": "ekfac",
        "output_functions": ["loss"],
        "projector": {"kind": "none"},
    }
    changed.config["methods"]["mine"] = {"method": "ekfac", "features": "rotated/loss"}
    assert pending(changed) == {
        "curvature": {"curvatures/ekfac/full.zarr.zip"},
        "features": shards("rotated", "full"),
        "check_features": {"checks/rotated.json"},
        **of_method("mine"),
    }


def test_more_retrained_models_change_the_methods_that_learn_from_them(changed):
    changed.config["measurement"]["subsets"]["retrain"]["count"] = 6
    assert pending(changed) == {
        "subsets": {"subsets/retrain/block-1.npy"},
        "train_block": {"models/retrain/seed-0/block-1.safetensors"},
        "losses": {f"losses/retrain/seed-0/block-1/{split}.zarr.zip" for split in SPLITS},
        "measurements": {f"measurements/retrain/loss/{split}.zarr.zip" for split in SPLITS},
        **of_method("empirical-influence"),
    }


def test_the_sampler_changes_generated_queries_and_trajectories_only(changed):
    changed.config["sampling"]["n_steps"] = 6
    found = pending(changed)
    assert {"generate", "trajectories", "redraw", "originals"} <= set(found)
    assert found["features"] == {
        *(
            path
            for model in ("full", "full-step-9", "retrain-0-seed-0")
            for path in shards("t4", model, ("gen",))
        ),
        *shards("projections-k64", "full", ("gen",)),
        *shards("t4", "full", ("gen-trajectory",)),
    }
    assert all("counterfactual" in path for path in found["train_block"])
    assert not {"train_full", "kernel", "check_features"} & set(found)
    assert not any("val" in path for rule in OF_METHOD for path in found[rule])


def test_shorter_removal_lists_are_compared_and_nothing_is_trained(changed):
    changed.config["counterfactual"]["fractions"] = [0.05, 0.1, 0.25]
    assert pending(changed) == COMPARED


def test_longer_removal_lists_train_nothing(changed):
    # The first images of a list are the list of a smaller removal, so no model changes.
    changed.config["counterfactual"]["fractions"] = [0.1, 0.25, 0.5]
    assert not {"train_block", "redraw"} & set(pending(changed))


def test_another_method_to_remove_images_by_retrains_for_that_method_only(changed):
    changed.config["counterfactual"]["methods"].append("tracin-4")
    assert pending(changed) == {
        "removals": {"counterfactual/removals/tracin-4.zarr.zip"},
        **removed("tracin-4", "proponents"),
        **COMPARED,
    }


def test_opponents_are_removed_from_the_lists_that_are_there(changed):
    changed.config["counterfactual"]["opponents"] = True
    assert pending(changed) == {**removed("trak-4", "opponents"), **COMPARED}


def test_another_seed_of_the_removals_trains_that_seed_only(changed):
    changed.config["counterfactual"]["seeds"] = [42, 43]
    expected = [removed(method, "proponents", seed=43) for method in ("random", "trak-4")]
    assert pending(changed) == {
        **{
            rule: set.union(*(found[rule] for found in expected))
            for rule in ("train_block", "redraw")
        },
        **COMPARED,
    }


def listed(config):
    config["measurement"]["lds"]["query_lists"]["others"] = {"split": "val", "queries": [1]}


def bent(config):
    config["measurement"]["lds"]["powers"] = [0.5]


def resampled(config):
    config["measurement"]["lds"]["resamples"] = 300


def measured(config):
    config["measurement"]["lds"]["also_measured"].remove("weighted-mse")


@pytest.mark.parametrize("change", [listed, bent, resampled, measured])
def test_how_lds_is_reported_takes_no_gradient_and_trains_no_model(changed, change):
    change(changed.config)
    found = pending(changed)
    assert "lds_of_method" in found
    assert ("audit_powers" in found) == (change is bent)
    # The chosen lambda, all that removals take from an LDS, does not depend on these.
    assert not {"features", "kernel", "train_full", "train_block", "redraw"} & set(found)
    if change is not measured:
        assert not {"losses", "measurements", "predictions"} & set(found)


def test_measuring_less_leaves_retrained_losses_as_they_are(changed):
    # Of the group `retrain` nothing but losses is read.
    changed.config["measurement"]["lds"]["also_measured"] = ["weighted-mse"]
    assert not any("retrain" in path for path in pending(changed)["losses"])


def test_a_learning_rate_changed_with_the_kept_checkpoints_trains_the_full_model(changed):
    changed.config["training"]["learning_rate"] = 0.002
    changed.config["full_model"]["checkpoints"] = [0.0, 0.25, 0.5]
    assert "train_full" in pending(changed)
