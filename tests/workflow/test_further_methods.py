"""Methods of several models, sweeps and redrawn queries: whole, right, and rerun in part."""

import copy
import hashlib
import json
import math
import re
import shutil

import numpy as np
import pytest
from running import Workflow

from diffattr.artifacts import read_array, read_arrays

pytestmark = pytest.mark.workflow

SPLITS = ("val", "gen")
REPORT = {
    f"report/{name}"
    for name in (
        *("index.html", "report.json", "lds.txt", "proponents.csv", "queries"),
        *("sweeps.html", "counterfactual.html"),
    )
}
BLOCK = "seed-42/block-0"


@pytest.fixture
def changed(further):
    """The finished benchmark with a config that the test may change (its files stay)."""
    workflow = copy.copy(further)
    workflow.config = copy.deepcopy(further.config)
    return workflow


@pytest.fixture
def own_copy(further, tmp_path):
    """A copy of the finished benchmark in which a test may make files."""
    shutil.copytree(further.directory, tmp_path, dirs_exist_ok=True)
    workflow = Workflow(tmp_path)
    workflow.config = copy.deepcopy(further.config)
    return workflow


def store(workflow, name):
    return read_arrays(workflow.root / f"{name}.zarr.zip")


def array(workflow, name):
    return read_array(workflow.root / f"{name}.npy")


def read_json(workflow, name):
    return json.loads((workflow.root / f"{name}.json").read_text())


# --- the whole run ----------------------------------------------------------------------------


def test_every_file_is_there_and_nothing_is_left_to_do(further):
    for name in REPORT:
        path = further.root / name
        assert any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
    assert "Nothing to be done" in further.run("all", "-n").stdout
    assert further.pending() == {}


def test_the_report_has_an_lds_of_every_method(further):
    tables = {table["split"]: table for table in read_json(further, "report/report")["lds"]}
    methods = set(further.config["methods"])
    for split in SPLITS:
        rows = {row["name"]: row for row in tables[split]["methods"]}
        # Held-out images have no sampling trajectory.
        assert set(rows) == (methods if split == "gen" else methods - {"journey-trak-4"})
        for row in rows.values():
            numbers = [row["lds"], *row["interval"], *row["per_query"]]
            assert all(math.isfinite(number) for number in numbers)
            assert -1 <= row["lds"] <= 1
            assert set(row["measured"]) == {"weighted-mse", "l1-norm"}
            assert all(math.isfinite(found["lds"]) for found in row["measured"].values())
            if split == "gen":
                listed = [row["per_query"][query] for query in (0, 3)]
                assert row["query_lists"]["some"]["lds"] == pytest.approx(np.mean(listed))
            else:
                assert row["query_lists"] == {}


def test_the_report_groups_methods_by_what_they_need(further):
    methods = read_json(further, "report/report")["methods"]
    assert {row["name"]: row["needs"] for row in methods} == {
        "random": "no gradients",
        "trak-4": "gradients",
        "tracin-4": "checkpoints",
        "trak-4-half": "retraining",
        "empirical-influence": "retraining",
        "journey-trak-4": "gradients",
    }


def test_the_report_has_the_sweep_s_cells_and_one_of_them_is_a_method_that_was_there(further):
    (sweep,) = read_json(further, "report/report")["sweeps"]
    cells = {cell["values"]["k"]: cell for cell in sweep["cells"]}
    assert set(cells) == {64, 256}
    for cell in cells.values():
        assert set(cell["splits"]) == set(SPLITS)
        assert all(math.isfinite(found["lds"]) for found in cell["splits"].values())
    for split in SPLITS:
        own = read_json(further, f"lds/{cells[256]['method']}/{split}")
        assert own == read_json(further, f"lds/trak-4/{split}")
        assert own != read_json(further, f"lds/{cells[64]['method']}/{split}")
    assert not (further.root / "scores" / cells[256]["method"]).exists()
    page = (further.root / "report" / "sweeps.html").read_text()
    assert all(re.search(rf"<td[^>]*>{k}</td>", page) for k in cells)


def test_the_report_has_a_row_of_every_removal(further):
    found = read_json(further, "report/report")["counterfactual"]
    rows = [(row["method"], row["side"], row["fraction"]) for row in found["removals"]]
    assert rows == [("random", "proponents", 0.25), ("trak-4", "proponents", 0.25)]
    for row in found["removals"]:
        assert set(row["measures"]) == {"pixel-l2", "loss-change", "bottleneck-cosine"}
        for measure in row["measures"].values():
            assert len(measure["per_query"]) == 2
            assert all(math.isfinite(value) for value in measure["per_query"])
            assert (measure["versus_random"] is None) == (row["method"] == "random")
    # Lists are compared for every fraction, models are trained for one.
    assert [row["fraction"] for row in found["overlaps"]] == [0.1, 0.25]
    assert "trak-4" in (further.root / "report" / "counterfactual.html").read_text()


# --- its numbers, by hand from what they are made of ------------------------------------------


def features(workflow, model, split):
    return store(workflow, f"features/t4/{model}/{split}/0000")["loss"].astype(np.float64)


@pytest.mark.parametrize("split", SPLITS)
def test_tracin_is_the_mean_of_inner_products_at_its_checkpoints(further, split):
    # 18 steps; half of them are 9.
    expected = np.mean(
        [
            features(further, model, split) @ features(further, model, "train").T
            for model in ("full-step-9", "full")
        ],
        axis=0,
    )
    scores = store(further, f"scores/tracin-4/{split}")["scores"]
    # Scores are stored in float32.
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("method", "model", "split", "queries"),
    [
        ("trak-4-half", "retrain-0-seed-0", "val", "val"),
        ("trak-4-half", "retrain-0-seed-0", "gen", "gen"),
        ("journey-trak-4", "full", "gen", "gen-trajectory"),
    ],
)
def test_kernel_methods_solve_at_their_own_model_and_queries(
    further, method, model, split, queries
):
    stored = store(further, f"scores/{method}/{split}")
    train, asked = features(further, model, "train"), features(further, model, queries)
    ridge = stored.attribute("lambda") * np.square(train).sum(axis=1).mean()
    expected = asked @ np.linalg.solve(train.T @ train + ridge * np.eye(256), train.T)
    # Scores are stored in float32.
    np.testing.assert_allclose(
        stored["scores"], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_features_are_those_of_the_model_that_their_path_names(further):
    weights = "diffusion_pytorch_model.safetensors"
    full = further.root / "models/full/seed-42"
    block = further.root / "models/retrain/seed-0/block-0.safetensors"
    models = {
        "full": sha256(full / weights),
        "full-step-9": sha256(full / "checkpoints/9" / weights),
        "retrain-0-seed-0": f"{sha256(block)}, subset 0",
    }
    for name, identity in models.items():
        shard = store(further, f"features/t4/{name}/val/0000")
        assert shard.attribute("identity")["model"] == identity


@pytest.mark.parametrize("split", SPLITS)
def test_empirical_influence_compares_models_with_and_without_an_image(further, split):
    tables = store(further, f"losses/retrain/seed-0/block-0/{split}")["loss"]
    losses = tables.mean(axis=1, dtype=np.float64)  # (subset, query)
    subsets = [set(row) for row in array(further, "subsets/retrain/block-0").tolist()]
    scores = store(further, f"scores/empirical-influence/{split}")["scores"]
    assert scores.shape == (losses.shape[1], 48)
    for image in range(48):
        inside = [image in subset for subset in subsets]
        expected = np.zeros(losses.shape[1])
        if any(inside) and not all(inside):
            without = losses[~np.array(inside)].mean(axis=0)
            expected = without - losses[inside].mean(axis=0)
        np.testing.assert_allclose(scores[:, image], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["random", "trak-4"])
def test_queries_are_redrawn_without_their_top_images(further, method):
    result = read_json(further, "counterfactual/result")
    queries = result["queries"]
    scores = store(further, f"scores/{method}/gen")["scores"]
    group = f"counterfactual/{method}/proponents-0.25"
    remaining = array(further, f"subsets/{group}/block-0").tolist()
    for member, query in enumerate(queries):
        # A quarter of 48 images.
        top = set(sorted(range(48), key=lambda image: -scores[query, image])[:12])
        assert remaining[member] == sorted(set(range(48)) - top)
    redrawn = store(further, f"counterfactual/outcomes/{group}/{BLOCK}")["samples"]
    moved = redrawn - array(further, "samples/gen")[queries]
    (row,) = [row for row in result["removals"] if row["method"] == method]
    expected = [np.linalg.norm(image.astype(np.float64)) for image in moved]
    assert min(expected) > 0
    assert row["measures"]["pixel-l2"]["per_query"] == pytest.approx(expected, rel=1e-5)


def test_the_audit_of_plain_scores_is_the_lds_at_their_lambda(own_copy):
    own_copy.config["measurement"]["lds"]["powers"] = [0.5]
    own_copy.run("results/smoke/audits/trak-4/gen.json")
    rows = {row["power"]: row for row in read_json(own_copy, "audits/trak-4/gen")}
    assert set(rows) == {1.0, 0.5, "squares"}
    lds = read_json(own_copy, "lds/trak-4/gen")
    at = lds["curve"]["lambdas"].index(lds["selected"]["lambda"])
    assert read_json(own_copy, "selected/trak-4/gen") == {"lambda": lds["selected"]["lambda"]}
    assert rows[1.0]["lds"] == pytest.approx(lds["curve"]["lds"][at], abs=1e-9)


# --- what a change reruns ---------------------------------------------------------------------

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
