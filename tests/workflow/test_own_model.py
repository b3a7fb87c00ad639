"""A model that somebody already has, through Snakemake: from a pipeline and folders to pages."""

import csv
import json
import shutil

import numpy as np
import pytest
from changed_config import OWN_MODEL, raw
from diffusers import DDPMPipeline
from jsonschema import Draft202012Validator
from PIL import Image
from running import REPOSITORY, Workflow
from safetensors.torch import load_file, save_file
from stand_ins import write_ddpm, write_images

from diffattr.api import attribute_images
from diffattr.artifacts import read_array, read_arrays

pytestmark = pytest.mark.workflow
N_ASKED = 5


def own_model(directory):
    """Return the mini config on its files, with five queries of its own, one of no known name."""
    workflow = Workflow(directory)
    workflow.config = raw(name=OWN_MODEL)
    data = directory / "data" / "mini"
    write_ddpm(data / "ddpm", seed=0)
    write_images(data / "images", seed=0)
    queries = data / "queries"
    queries.mkdir()
    for number in range(N_ASKED):
        source = data / "images" / "discs" / f"{number:03d}.png"
        shutil.copy(source, queries / f"query {number}.png")
    workflow.config["data"] |= {"n_train": 60, "n_planted": 4}
    workflow.config["sampling"] = {"n_images": 3, "n_steps": 3}
    return workflow


@pytest.fixture(scope="session")
def asked_about(built_once):
    """The finished benchmark; do not change its files."""
    return built_once("own-model", lambda workflow: own_model(workflow.directory).run("all"))


@pytest.fixture
def before(tmp_path):
    return own_model(tmp_path)


def scores(workflow, method, split):
    return read_arrays(workflow.root / "scores" / method / f"{split}.zarr.zip")["scores"]


def files(workflow, split):
    folder = workflow.directory / "data" / "mini" / ("images" if split == "train" else "queries")
    names = json.loads((workflow.root / "indices" / "names.json").read_text())["images"]
    return [folder / name for name in names[split]]


def pixels(path):
    """Return an image as torchvision's Resize(16) and CenterCrop(16) would, in [-1, 1]."""
    with Image.open(path) as image:
        scaled = image.resize((19, 16), Image.Resampling.BILINEAR)  # of 96 x 80
        cut = scaled.crop((2, 0, 18, 16))
    return np.asarray(cut, np.float32).transpose(2, 0, 1) / 127.5 - 1


@pytest.mark.parametrize(("method", "name"), [("d-trak", "d-trak-2"), ("trak", "trak-2")])
def test_scores_are_those_of_the_function_on_the_files(asked_about, method, name):
    pipeline = DDPMPipeline.from_pretrained(asked_about.directory / "data" / "mini" / "ddpm")
    train, queries = (
        np.stack([pixels(path) for path in files(asked_about, split)]) for split in ("train", "val")
    )
    expected = attribute_images(
        pipeline, train, queries, method=method, lam="rule", n_timesteps=2, k=256
    )
    found = scores(asked_about, name, "val")
    assert found.shape == (N_ASKED, 60)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_query_that_is_a_copy_of_a_training_image_ranks_it_first(asked_about):
    # Query n is a copy of discs/n.
    trained_on = {f"{p.parent.name}/{p.name}" for p in files(asked_about, "train")}
    copied = [n for n in range(N_ASKED) if f"discs/{n:03d}.png" in trained_on]
    assert copied
    with (asked_about.root / "report" / "proponents.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = {
        row["query"]: row["image"]
        for row in rows
        if (row["split"], row["method"], row["side"], row["rank"])
        == ("val", "d-trak-2", "proponent", "1")
    }
    assert len(first) == N_ASKED
    for number in copied:
        assert first[f"query {number}.png"] == f"discs/{number:03d}.png"
    planted = json.loads((asked_about.root / "report" / "report.json").read_text())["planted"]
    recall = {row["name"]: row["recall_at_1"] for row in planted["methods"]}
    assert recall["d-trak-2"] == recall["pixel-cosine"] == 1


def test_the_network_is_the_pipeline_s(asked_about):
    theirs = load_file(
        asked_about.directory / "data/mini/ddpm/unet/diffusion_pytorch_model.safetensors"
    )
    ours = load_file(asked_about.root / "models/full/seed-0/diffusion_pytorch_model.safetensors")
    assert set(ours) == set(theirs)
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_the_report_says_where_lambda_comes_from_and_shows_names(asked_about):
    report = json.loads((asked_about.root / "report" / "report.json").read_text())
    schema = json.loads((REPOSITORY / "schemas" / "report.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    by_name = {method["name"]: method for method in report["methods"]}
    assert by_name["d-trak-2"]["lambda"] == 0.002
    assert by_name["trak-2"]["lambda"] == 0.2
    assert by_name["trak-2"]["lambda_by_rule"]
    assert by_name["pixel-cosine"]["lambda"] is None
    assert {group["split"]: group["n_queries"] for group in report["queries"]} == {
        "val": N_ASKED,
        "gen": 3,
        "planted": 4,
    }
    val = report["queries"][0]["queries"]
    assert [query["name"] for query in val] == [f"query {n}.png" for n in range(N_ASKED)]
    assert {query["label"] for query in val} == {None}
    first = val[0]["methods"][0]["proponents"][0]
    assert first["label"] in ("discs", "squares")
    page = (asked_about.root / "report" / "index.html").read_text()
    assert "nothing on this page says whether an answer is right" in page
    assert "query 0.png" in page
    viewer = (asked_about.root / "report" / "queries" / "data" / "val.js").read_text()
    assert '"query 4.png"' in viewer
    labels = read_array(asked_about.root / "labels" / "val.npy")
    assert labels.tolist() == [-1] * N_ASKED


def test_another_lambda_makes_scores_and_pages_alone(asked_about):
    assert asked_about.pending() == {}
    asked_about.config["methods"]["trak-2"]["lambda"] = 0.5
    pending = asked_about.pending()
    assert pending.pop("scores") == {
        f"scores/trak-2/{s}.zarr.zip" for s in ("val", "gen", "planted")
    }
    assert set(pending) == {"planted", "build_report"}
    asked_about.config["methods"]["trak-2"]["lambda"] = "rule"
    assert asked_about.pending() == {}
    assert "Models: 0." in asked_about.run("plan").stdout


def query_files(workflow):
    return sorted((workflow.directory / "data" / "mini" / "queries").iterdir())


def with_fewer_queries(workflow):
    workflow.config["queries"]["n_images"] = 7


def with_fewer_images(workflow):
    workflow.config["data"]["n_train"] = 161


def with_a_text(workflow):
    query_files(workflow)[0].write_bytes(b"no image")


def in_grey(workflow):
    for path in query_files(workflow):
        with Image.open(path) as image:
            grey = image.convert("L")
        grey.save(path)


def of_another_class(workflow):
    for path, name in zip(query_files(workflow), ["discs", "a", "b", "c", "d"], strict=True):
        path.with_name(name).mkdir()
        shutil.move(path, path.with_name(name))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            with_fewer_queries,
            "queries.n_images: found 7, but data/mini/queries holds 5 usable images; set"
            " queries.n_images: 5",
        ),
        (with_fewer_images, "data.n_train: found 161, but only 160 images are available"),
        (with_a_text, "1 image cannot be used (data/mini/queries/query 0.png: is not an image)"),
        (in_grey, "data/mini/queries: holds images of 1 channels, training images have 3; convert"),
        (of_another_class, "data/mini/queries: has images of class a; the classes of the training"),
    ],
)
def test_images_that_do_not_fit_are_refused(before, spoil, sentence):
    spoil(before)
    done = before.run("results/mini-own-model/indices/names.json", check=False)
    assert done.returncode == 1
    assert f"ERROR in data: {sentence}" in done.stdout + done.stderr
    assert not (before.root / "images").exists()


def without_a_weight(workflow):
    path = workflow.directory / "data/mini/ddpm/unet/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("conv_out.bias")
    save_file(weights, path, metadata={"format": "pt"})


def pickled(workflow):
    import torch

    path = workflow.directory / "data/mini/ddpm/unet/diffusion_pytorch_model.safetensors"
    torch.save({"conv_out.bias": print}, path.with_name("diffusion_pytorch_model.bin"))
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_a_weight, "(conv_out.bias, ...)"),
        (pickled, "the unet of data/mini/ddpm cannot be read"),
    ],
)
def test_a_network_that_cannot_be_had_is_refused(before, spoil, sentence):
    spoil(before)
    target = "results/mini-own-model/models/full/seed-0/config.json"
    done = before.run(target, check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "ERROR in pretrained: model.pretrained: the " in said
    assert sentence in said
    assert not list(before.root.glob("models/full/seed-0/*"))


def test_a_pipeline_that_cannot_be_had_is_refused_before_anything_runs(before):
    before.config["model"]["pretrained"] = "no-such-owner/no-such-pipeline"
    done = before.run("all", check=False, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "model.pretrained: the " in said
    assert "no-such-owner/no-such-pipeline cannot be read" in said
    assert not before.root.exists()


def test_queries_that_cannot_be_used_may_be_left_out(before):
    truncated, other = query_files(before)[:2]
    truncated.write_bytes(truncated.read_bytes()[:-200])
    other.write_text("no image")
    before.config["data"]["unreadable"] = "skip"
    before.config["queries"]["n_images"] = N_ASKED - 2
    before.run("results/mini-own-model/indices/names.json")
    named = json.loads((before.root / "indices" / "names.json").read_text())["images"]["val"]
    assert named == [path.name for path in query_files(before)[2:]]
    log = (before.root / "logs" / "data.log").read_text()
    assert truncated.name in log
    assert other.name in log


def test_a_folder_without_sub_folders_has_no_classes_whatever_its_name(before):
    folder = before.directory / "data" / "mini" / "queries"
    shutil.move(folder, folder.with_name("discs"))
    before.config["queries"]["folder"] = "data/mini/discs"
    before.run("results/mini-own-model/indices/names.json")
    assert read_array(before.root / "labels" / "val.npy").tolist() == [-1] * N_ASKED


def test_grey_images_for_a_network_of_colours_are_refused(before):
    for path in (before.directory / "data" / "mini").glob("**/*.png"):
        with Image.open(path) as image:
            grey = image.convert("L")
        grey.save(path)
    target = "results/mini-own-model/features/t2/full/val/0000.zarr.zip"
    done = before.run(target, check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "model: the images have 1 channels, the network expects 3; convert the images" in said


def test_training_images_come_from_a_data_set_of_the_hub_s_kind(before):
    datasets = pytest.importorskip("datasets", reason="needs pip install 'diffattr[hub]'")
    folder = before.directory / "data" / "mini" / "images"
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train")
    (before.directory / "mine").mkdir()
    found.to_parquet(before.directory / "mine" / "train-00000-of-00001.parquet")
    before.config["data"] |= {"source": "hub", "hub": "mine"}
    del before.config["data"]["folder"]
    before.run("results/mini-own-model/samples/train.npy")
    images = read_array(before.root / "samples" / "train.npy")
    positions = read_array(before.root / "indices" / "train.npy")
    named = [found[int(position)]["image"].filename for position in positions]
    expected = np.stack([pixels(path) for path in named])
    np.testing.assert_allclose(images, expected, atol=1e-6)
    names = json.loads((before.root / "indices" / "names.json").read_text())
    assert names["classes"] == ["discs", "squares"]
