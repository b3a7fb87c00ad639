"""Methods of several models, sweeps and redrawn queries: whole, and right by hand."""

import hashlib
import json
import math
import re

import numpy as np
import pytest
from further import REPORT, SPLITS

from diffattr.artifacts import read_array, read_arrays

pytestmark = pytest.mark.workflow

BLOCK = "seed-42/block-0"


@pytest.fixture
def own_copy(further, tmp_path):
    """A copy of the finished benchmark in which a test may make files."""
    return further.copied(tmp_path)


def store(workflow, name):
    return read_arrays(workflow.root / f"{name}.zarr.zip")


def array(workflow, name):
    return read_array(workflow.root / f"{name}.npy")


def read_json(workflow, name):
    return json.loads((workflow.root / f"{name}.json").read_text())


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
