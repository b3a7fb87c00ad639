"""docs/plug-ins.md as it stands: its files, its config and its commands make a benchmark."""

import contextlib
import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import yaml
from running import REPOSITORY, small
from scipy.stats import spearmanr

from diffattr.artifacts import read_arrays

pytestmark = pytest.mark.workflow

PAGE = (REPOSITORY / "docs" / "plug-ins.md").read_text()
FROM_PREDICTIONS = {"predictions", "lds_of_method", "scores", "planted", "build_report"}
OWN_KEYS = ("predictions", "lds_of_method", "scores", "select_lambda")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def files():
    """The page's Python files, by the names in their first lines."""
    return {re.match(r"# (\S+)\n", text)[1]: text for text in blocks("python")}


def merge(config, more):
    for key, value in more.items():
        if isinstance(value, dict) and key in ("methods", "features", "data"):
            config[key] |= value
        else:
            config[key] = value


@pytest.fixture(scope="session")
def plugged(built_once):
    """The page's benchmark, finished; whoever changes its files puts them back."""
    commands = "\n".join(blocks("sh"))
    allowed = {"DIFFATTR_PLUGINS": re.findall(r"DIFFATTR_PLUGINS=(\S+)", commands)[-1]}
    assert "python write_scores.py" in commands

    def build(workflow):
        workflow.environment = allowed
        small(workflow.config)
        workflow.config["name"] = "mine"
        known = workflow.config["methods"]
        workflow.config["methods"] = {name: known[name] for name in ("random", "pixel-cosine")}
        # One job each: that several make the same is looked at elsewhere.
        workflow.config["jobs"] |= {"models_per_block": 6, "images_per_shard": 48}
        for name, text in files().items():
            (workflow.directory / name).write_text(text)
        *own, of_files = [yaml.safe_load(block) for block in blocks("yaml")]
        for block in own:
            merge(workflow.config, block)
        workflow.run("results/mine/samples/gen.npy")
        subprocess.run([sys.executable, "write_scores.py"], cwd=workflow.directory, check=True)
        merge(workflow.config, of_files)
        workflow.run("all")

    workflow = built_once("plugged", build)
    workflow.environment = allowed
    return workflow


@pytest.fixture
def own_copy(plugged, tmp_path):
    """A copy of the finished benchmark in which a test may make files."""
    shutil.copytree(plugged.directory, tmp_path, dirs_exist_ok=True)
    workflow = changed(plugged)
    workflow.directory = tmp_path
    return workflow


@contextlib.contextmanager
def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        path.write_text(text)


def changed(workflow):
    own = copy.copy(workflow)
    own.config = copy.deepcopy(workflow.config)
    return own


def features(workflow, output_function, split):
    folder = workflow.root / "features/t4/full" / split
    return np.concatenate([read_arrays(p)[output_function] for p in sorted(folder.glob("*.zip"))])


def scores(workflow, method, split):
    return read_arrays(workflow.root / f"scores/{method}/{split}.zarr.zip")["scores"]


def methods_of(pending):
    return {path.split("/")[1] for rule in OWN_KEYS for path in pending.get(rule, ())}


def test_every_plug_in_of_the_page_has_its_place_in_the_report(plugged):
    report = json.loads((plugged.root / "report/report.json").read_text())
    own = {"own", "own-kernel", "fourth-power", "distance"}
    for table in report["lds"]:
        rows = {row["name"]: row for row in table["methods"]}
        assert own <= set(rows)
        assert all(low < high for low, high in (rows[name]["interval"] for name in own))
    needs = {method["name"]: method["needs"] for method in report["methods"]}
    assert needs["own"] == "gradients"
    assert needs["distance"] == "computed elsewhere"
    assert {row["name"] for row in report["planted"]["methods"]} >= own - {"distance"}
    assert "distance" not in {row["name"] for row in report["planted"]["methods"]}
    page = (plugged.root / "report/index.html").read_text()
    assert "computed elsewhere" in page
    assert "<code>own-kernel</code>" in page


def test_the_images_are_those_of_the_page_s_data_set(plugged):
    from sklearn.datasets import load_digits

    positions = np.load(plugged.root / "indices/train.npy")
    expected = 1 - load_digits().images[positions, None] / 16
    np.testing.assert_allclose(np.load(plugged.root / "samples/train.npy"), 2 * expected - 1)


@pytest.mark.parametrize("split", ["val", "gen", "planted"])
def test_scores_are_those_of_the_page_s_formulas(plugged, split):
    train, queries = (features(plugged, "loss", s).astype(float) for s in ("train", split))
    own = [[q @ x / (x @ x) ** 0.25 for x in train] for q in queries]
    # 1e-4: the page's function computes in float32, as which features are stored.
    found = scores(plugged, "own", split)
    np.testing.assert_allclose(found, own, atol=1e-4 * np.abs(own).max())
    lam = read_arrays(plugged.root / f"scores/own-kernel/{split}.zarr.zip").attribute("lambda")
    ridge = lam * np.square(train).sum(axis=1).mean()
    inverse = np.linalg.inv(train.T @ train + ridge * np.eye(train.shape[1]))
    shy = [[q @ inverse @ x / (1 + np.linalg.norm(x)) for x in train] for q in queries]
    found = scores(plugged, "own-kernel", split)
    np.testing.assert_allclose(found, shy, atol=1e-5 * np.abs(shy).max())


def test_an_own_output_function_gives_features_of_its_own(plugged):
    own = features(plugged, "my_functions:fourth_power", "val")
    ours = features(plugged, "mean-squared-l2-norm", "val")
    assert np.isfinite(own).all()
    assert (np.abs(own).max(axis=1) > 0).all()
    assert not np.allclose(own, ours)


@pytest.mark.parametrize("split", ["val", "gen"])
def test_lds_of_scores_from_a_file_is_that_of_its_numbers(plugged, split):
    tau = np.load(plugged.directory / f"scores-{split}.npy")
    blocks = sorted(plugged.root.glob("subsets/lds/block-*.npy"))
    subsets = [subset for block in blocks for subset in np.load(block)]
    stored = read_arrays(plugged.root / f"measurements/lds/loss/{split}.zarr.zip")
    losses = stored["measurements"].mean(axis=0)
    sums = [[row[subset].sum() for subset in subsets] for row in tau]
    own = [spearmanr(of_query, -loss)[0] for of_query, loss in zip(sums, losses.T, strict=True)]
    found = json.loads((plugged.root / f"lds/distance/{split}.json").read_text())
    assert found["lds"] == pytest.approx(np.mean(own), abs=1e-6)


def test_a_finished_benchmark_of_plug_ins_has_nothing_to_do(plugged):
    assert plugged.pending() == {}


def test_an_edited_method_runs_its_own_jobs_again_and_no_others(plugged):
    with edited(plugged.directory / "my_methods.py", "np.sqrt(", "1.0 * np.sqrt("):
        pending = plugged.pending()
    assert set(pending) == FROM_PREDICTIONS
    assert methods_of(pending) == {"own"}
    assert plugged.pending() == {}


def test_an_edited_output_function_takes_its_pass_again_and_trains_nothing(plugged):
    with edited(plugged.directory / "my_functions.py", "pow(4)", "pow(6)"):
        pending = plugged.pending()
    gradient = {"features", "check_features", "kernel", "select_lambda"}
    assert set(pending) == FROM_PREDICTIONS | gradient
    assert not {"random", "pixel-cosine", "distance"} & methods_of(pending)


def test_a_changed_file_of_scores_is_held_against_retraining_again(own_copy):
    result = own_copy.root / "lds/distance/val.json"
    before = json.loads(result.read_text())["per_query"]
    file = own_copy.directory / "scores-val.npy"
    np.save(file, -np.load(file))
    pending = own_copy.pending("lds")
    assert methods_of(pending) == {"distance"}
    assert {path.rsplit("/")[-1].split(".")[0] for paths in pending.values() for path in paths} == {
        "val"
    }
    own_copy.run("lds")
    after = json.loads(result.read_text())["per_query"]
    np.testing.assert_allclose(after, np.negative(before), atol=1e-9)


def test_planted_queries_may_have_a_file_and_published_numbers_a_place(own_copy):
    train, queries = (np.load(own_copy.root / f"indices/{s}.npy") for s in ("train", "planted"))
    np.save(own_copy.directory / "copies.npy", (queries[:, None] == train).astype("f4"))
    own_copy.config["methods"]["distance"]["options"]["planted"] = "copies.npy"
    own_copy.config["report"]["published"] = "cifar2"
    own_copy.run("report")
    report = json.loads((own_copy.root / "report/report.json").read_text())
    (row,) = [row for row in report["planted"]["methods"] if row["name"] == "distance"]
    assert (row["recall_at_1"], row["mean_rank"]) == (1, 1)
    assert {row["method"] for row in report["published"]["rows"] if row["ours"]} == {
        "random",
        "pixel-cosine",
    }
    assert "Published numbers beside ours" in (own_copy.root / "report/index.html").read_text()


@pytest.mark.parametrize("allowed", ["", "my_functions,my_data", "my_methods_2,my_kernel"])
def test_a_config_alone_starts_no_file(plugged, allowed):
    with edited(
        plugged.directory / "my_methods.py", "import numpy", "open('ran', 'w')\nimport numpy"
    ):
        done = plugged.run("all", check=False, DIFFATTR_PLUGINS=allowed)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    words = "methods.own.method: found 'my_methods:scaled_dot', but a config alone may not execute"
    assert words in said
    assert "allow it in the environment: DIFFATTR_PLUGINS=my_methods" in said
    assert "Traceback" not in said
    assert "Building DAG" not in said
    assert not (plugged.directory / "ran").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("np.nan * queries @ train.T", "returned NaN or infinity in 576 of 576 numbers"),
        ("queries.T", "returned shape (256, 12), expected (12, 48)"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_answer_is_one_sentence_on_the_terminal(plugged, wrong, words):
    workflow = changed(plugged)
    workflow.config["methods"]["wrong"] = workflow.config["methods"]["own"]
    target = "results/mine/scores/wrong/val.zarr.zip"
    with edited(
        plugged.directory / "my_methods.py", "lengths = ", f"return {wrong}\n    lengths = "
    ):
        done = workflow.run(target, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"ERROR in scores: plug-in my_methods:scaled_dot: {words}" in said
    assert "Traceback" not in said.split("Logfile")[0]
    assert not (plugged.root / "scores/wrong/val.zarr.zip").exists()


def test_an_installed_package_needs_no_permission(plugged, tmp_path):
    (entry,) = blocks("toml")
    groups = tomllib.loads(entry)["project"]["entry-points"]
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0")
    lines = [
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in own.items())
        for group, own in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    workflow = changed(plugged)
    workflow.config["methods"] = {
        "random": {"method": "random"},
        "installed": {"method": "scaled-dot", "features": "t4/loss"},
    }
    workflow.config["features"]["t4"]["output_functions"][-1] = "my_functions:fourth_power"
    target = "results/mine/scores/installed/val.zarr.zip"
    done = workflow.run(target, check=False)
    assert done.returncode != 0
    assert 'methods.installed.method: found "scaled-dot", allowed: ' in done.stdout + done.stderr
    workflow.run(target, PYTHONPATH=str(tmp_path))
    assert np.array_equal(scores(plugged, "installed", "val"), scores(plugged, "own", "val"))
