"""Configs of pretrained models: what is completed from their files, and what is refused at once."""

import json
import shutil
from functools import partial

import pytest
import yaml
from changed_config import DELETED, OWN_MODEL, OWN_MODELS, assert_refused, config, raw, schema
from changed_config import benchmark as benchmark_of
from dags import SIZE, jobs_here, jobs_of
from diffusers.models.model_loading_utils import load_state_dict
from mini_model import FOLDER, made, rewrite

from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.config import ConfigError, yaml_text
from diffattr.diffusion.pipelines import Pipeline
from diffattr.plan.network import network_size
from diffattr.plan.work import work_of

P = {"kind": "sjlt", "k": 64}


@pytest.mark.parametrize("name", OWN_MODELS)
def test_a_config_that_ships_is_right(name, here, monkeypatch):
    own = raw(name=name)
    if name == "configs/flowers.yaml":
        # A pipeline on the Hub: the libraries read a folder where they would read a name.
        own["model"]["pretrained"] = FOLDER
        monkeypatch.setattr(Pipeline, "is_local", False)
    else:
        for place in (own["data"], own["queries"]):
            folder = here / place["folder"]
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(20):
                (folder / f"{number}.png").touch()
        if not (here / own["model"]["pretrained"]).exists():
            shutil.copytree(here / FOLDER, here / own["model"]["pretrained"])
    assert set(Benchmark(read_config(own, schema(), name)).methods) == set(own["methods"])


def test_a_config_of_five_lines_is_completed_from_its_files_and_the_defaults(here):
    short = {
        "name": "short",
        "model": {"pretrained": FOLDER},
        "data": {"source": "images", "folder": "data/mini/images"},
        "queries": {"folder": "data/mini/queries"},
        "methods": {
            "d-trak": {"method": "d-trak", "lambda": "rule"},
            "das": {"method": "das", "lambda": 0.1},
            "trak": {"method": "trak", "lambda": "rule"},
        },
    }
    found = read_config(short, schema(), "short.yaml")
    unet = json.loads((here / FOLDER / "unet/config.json").read_text())
    assert found.data.resolution == unet["sample_size"] == 16
    assert found.model.config["block_out_channels"] == unet["block_out_channels"]
    assert (found.data.n_train, found.data.n_val, found.queries.n_images) == (130, 160, 160)
    scheduler = json.loads((here / FOLDER / "scheduler/scheduler_config.json").read_text())
    assert found.noise_schedule.beta_end == scheduler["beta_end"]
    assert found.noise_schedule.n_timesteps == scheduler["num_train_timesteps"]
    assert {name: m.features for name, m in found.methods.items()} == {
        "d-trak": "default/mean-squared-l2-norm",
        "das": "default-unit/mean",
        "trak": "default/loss",
    }
    passes = found.features
    assert passes["default"].output_functions == ("mean-squared-l2-norm", "loss")
    assert (passes["default"].n_timesteps, passes["default"].projector.k) == (10, 4096)
    assert [passes[name].unit_gradients for name in ("default", "default-unit")] == [False, True]
    assert found.training is None
    assert found.measurement is None
    assert Benchmark(found).splits.queries == ["val"]


def test_an_empty_query_folder_is_named(here):
    (here / "data/mini/empty").mkdir()
    own = raw(name=OWN_MODEL) | {"queries": {"folder": "data/mini/empty"}}
    with pytest.raises(ConfigError, match=r"queries\.folder: data/mini/empty holds no files"):
        read_config(own, schema(), "own.yaml")


def test_a_list_that_two_passes_share_is_completed_for_one(here):
    shared = ["loss"]
    passes = {
        name: {"n_timesteps": 2, "noise": "common", "output_functions": shared, "projector": P}
        for name in ("default", "other")
    }
    own = raw(name=OWN_MODEL) | {"features": passes}
    own["methods"] = {"d-trak": {"method": "d-trak", "lambda": "rule"}}
    found = read_config(own, schema(), "shared.yaml").features
    assert found["default"].output_functions == ("loss", "mean-squared-l2-norm")
    assert found["other"].output_functions == ("loss",)


def test_a_completed_config_stands_for_the_same_benchmark(here):
    found = config(name=OWN_MODEL)
    again = yaml.safe_load(yaml_text(found))
    assert read_config(again, schema(), "again.yaml") == found


def test_the_sampler_is_the_scheduler_s_where_the_config_says_nothing(here):
    rewrite(here / FOLDER / "scheduler/scheduler_config.json", clip_sample=False)
    assert not config(name=OWN_MODEL).sampling.clip_sample


def test_nothing_is_trained_or_measured(here):
    benchmark = made()
    jobs = jobs_here(raw(name=OWN_MODEL), partial(work_of, benchmark, SIZE))
    rules = {job.rule for job in jobs}
    assert not {"train_full", "train_block", "subsets", "losses", "lds_of_method"} & rules
    assert {"pretrained", "generate", "features", "kernel", "scores", "build_report"} <= rules
    assert benchmark.splits.queries == ["val", "gen", "planted"]
    assert benchmark.splits.lds == []
    # Three passes over 100 training images, 160 queries, 6 generated and 10 planted, 2 timesteps.
    features = [job for job in jobs if job.rule == "features"]
    assert sum(job.work.forwards for job in features) == 2 * (100 + 160 + 6 + 10)


@pytest.mark.parametrize(
    ("changes", "splits"),
    [
        ({"sampling": DELETED}, ["val", "planted"]),
        ({"queries": DELETED}, ["gen", "planted"]),
        ({"data.n_planted": 0, "queries": DELETED}, ["gen"]),
        ({"sampling": DELETED, "queries": DELETED}, ["planted"]),
    ],
)
def test_there_are_the_queries_that_are_asked_for(here, changes, splits):
    benchmark = made(changes)
    assert benchmark.splits.queries == splits
    rules = {job.rule for job in jobs_here(raw(changes, OWN_MODEL))}
    assert ("generate" in rules) == ("gen" in splits)


def test_the_network_s_size_is_that_of_the_pipeline(here):
    found = network_size(made())
    weights = load_state_dict(f"{FOLDER}/unet/diffusion_pytorch_model.safetensors")
    assert found.n_parameters == sum(tensor.numel() for tensor in weights.values())
    assert made().models.sample_shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"model.pretrained": "no/such/folder"}, "model.pretrained", "is neither a folder nor"),
        ({"model.config": {"dropout": 0.1}}, "model.config", "found dropout; remove it"),
        ({"noise_schedule": {"beta_end": 0.01}}, "noise_schedule.beta_end", "found 0.01, has 0.02"),
        (
            {"data.resolution": 32},
            "model.pretrained",
            f"the network of {FOLDER} is of sample_size 16, data.resolution is 32",
        ),
        (
            {"sampling": DELETED, "queries": DELETED, "data.n_planted": 0},
            "queries",
            "there are none; name a folder",
        ),
        ({"methods.trak-2.lambda": DELETED}, "methods.trak-2.lambda", "trak needs a positive"),
        (
            {"methods.pixel-cosine.lambda": 0.1},
            "methods.pixel-cosine.lambda",
            "pixel-cosine has none; remove the key",
        ),
        (
            {"methods.trak-2.method": "relative-influence"},
            "methods.trak-2.lambda",
            "there is no rule for relative-influence, only for trak, d-trak, das; give a number",
        ),
        (
            {"sampling.clip_sample": False},
            "sampling.clip_sample",
            f"found False, the scheduler of {FOLDER} has True",
        ),
        ({"queries.folder": "elsewhere"}, "queries.folder", "elsewhere is not a folder"),
        (
            {"methods.own": {"method": "file", "options": {"val": "a.npy"}}, "queries": DELETED},
            "methods.own.options.val",
            "no queries of this split",
        ),
        ({"methods.own": {"method": "datamodel"}}, "methods.own.method", "needs retrained models"),
        (
            {"methods.own": {"method": "tracin", "features": "t2/loss"}},
            "methods.own.method",
            "needs checkpoints",
        ),
        (
            {"methods.own": {"method": "journey-trak", "features": "t2/loss", "lambda": 0.1},
             "sampling": DELETED},
            "methods.own.method",
            "journey-trak follows the sampler; add sampling",
        ),
        (
            {"report": {"published": "cifar2"}},
            "report.published",
            "without measurement there is no LDS",
        ),
        ({"data.n_planted": 100}, "data.n_planted", "less than n_train"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(here, changes, key, words):
    assert_refused(made, changes, key=key, words=words)


RECIPE = {"epochs": 1, "batch_size": 1, "learning_rate": 1.0}
MEASUREMENT = {
    "subsets": {"lds": {"count": 8, "fraction": 0.5, "seeds": [0]}},
    "losses": {"n_timesteps": 2},
}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training", RECIPE, "a pretrained model is not trained here; remove it"),
        ("full_model.checkpoints", [0.5], "a pretrained model has none; remove it"),
        ("measurement", MEASUREMENT, "it retrains on subsets, which needs training; remove it"),
    ],
)
def test_what_only_training_gives_is_refused(here, key, value, words):
    changes = {key: value} if "." not in key else {"full_model": {"checkpoints": value}}
    if key == "measurement":
        for method in ("d-trak-2", "trak-2"):
            changes[f"methods.{method}.lambda"] = DELETED
    lines = refusal(changes)
    assert any(line.startswith(f"{key}: found with") and words in line for line in lines)


def refusal(changes):
    with pytest.raises(ConfigError) as caught:
        made(changes)
    return str(caught.value).splitlines()


def test_a_measured_benchmark_selects_lambda_itself():
    assert_refused(
        benchmark_of,
        {"methods.trak-4.lambda": 0.1},
        key="methods.trak-4.lambda",
        words="found, but LDS selects lambda here; remove the key",
    )


def test_without_measurement_a_model_is_trained_and_explained_all_the_same():
    changes = {"measurement": DELETED}
    for method in ("trak-4", "trak-8", "d-trak-4", "d-trak-8"):
        changes[f"methods.{method}.lambda"] = 0.1
    rules = {job.rule for job in jobs_of(changes)}
    assert "train_full" in rules
    assert not {"train_block", "subsets", "losses", "predictions", "lds_of_method"} & rules


def test_a_config_without_training_says_what_to_add():
    lines = []
    with pytest.raises(ConfigError) as caught:
        benchmark_of({"training": DELETED})
    lines = str(caught.value).splitlines()
    assert any(line.startswith("training: this key is missing; add it, or name") for line in lines)
