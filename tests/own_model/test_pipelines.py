"""Pipelines of own models: read however they were written, and refused where they do not fit."""

import shutil

import pytest
from changed_config import OWN_MODEL, assert_refused, config
from diffusers import DDIMScheduler, UNet2DModel
from mini_model import FOLDER, LORA, made, rewrite

from diffattr.config import NoiseSchedule
from diffattr.diffusion.families import family, pipeline_of
from diffattr.diffusion.models import trained_parameters, write_network
from diffattr.diffusion.pipelines import Pipeline
from diffattr.plan.network import network_size


@pytest.mark.parametrize(
    ("file", "values", "key", "words"),
    [
        (
            "model_index.json",
            {"_class_name": "LDMPipeline"},
            "model.pretrained",
            "is a LDMPipeline",
        ),
        ("model_index.json", {"_class_name": 3}, "model.pretrained", "does not state the class"),
        (
            "unet/config.json",
            {"out_channels": 6},
            "model.pretrained",
            "has 3 input and 6 output channels",
        ),
        (
            "unet/config.json",
            {"num_class_embeds": 10},
            "model.pretrained",
            "is conditioned on classes",
        ),
        ("unet/config.json", {"time_embedding_type": "fourier"}, "model.pretrained", "not trained"),
        ("unet/config.json", {"sample_size": None}, "data.resolution", "this key is missing"),
        (
            "scheduler/scheduler_config.json",
            {"rescale_betas_zero_snr": True},
            "model.pretrained",
            "custom betas",
        ),
        (
            "scheduler/scheduler_config.json",
            {"predict_epsilon": False},
            "model.pretrained",
            "predicts the image",
        ),
        (
            "scheduler/scheduler_config.json",
            {"beta_schedule": None},
            "model.pretrained",
            "the schedule None",
        ),
        (
            "scheduler/scheduler_config.json",
            {"prediction_type": "v_prediction"},
            "model.pretrained",
            "predicts v_prediction, expected epsilon",
        ),
        (
            "scheduler/scheduler_config.json",
            {"beta_schedule": "sigmoid"},
            "model.pretrained",
            "the schedule sigmoid; expected one of linear,",
        ),
        (
            "scheduler/scheduler_config.json",
            {"num_train_timesteps": "many"},
            "model.pretrained",
            "its scheduler's config cannot be used",
        ),
    ],
)
def test_a_pipeline_that_does_not_fit_is_one_sentence(here, file, values, key, words):
    rewrite(here / FOLDER / file, **values)
    assert_refused(made, key=key, words=words)


@pytest.mark.parametrize("file", ["model_index.json", "scheduler/scheduler_config.json"])
@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_pipeline_that_is_damaged_is_one_sentence(here, file, content):
    path = here / FOLDER / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert_refused(made, key="model.pretrained", words=file.rpartition("/")[2])


def test_a_ddim_pipeline_s_schedule_is_read_too(here):
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.001, beta_end=0.01)
    scheduler.save_pretrained(here / FOLDER / "scheduler")
    rewrite(here / FOLDER / "model_index.json", _class_name="DDIMPipeline")
    assert made().config.noise_schedule == NoiseSchedule(
        beta_schedule="scaled_linear", beta_start=0.001, beta_end=0.01
    )


@pytest.mark.parametrize("values", [{"sample_size": [16, 16]}, {"unknown_to_diffusers": 1}])
def test_a_network_s_config_may_be_written_otherwise(here, values):
    rewrite(here / FOLDER / "unet/config.json", **values)
    benchmark = made()
    assert network_size(benchmark).n_parameters > 1000
    network, model = family("unet2d").pretrained(made().config.model, None)
    assert model.config["sample_size"] == 16
    write_network("copy", trained_parameters(network), model)
    assert isinstance(UNet2DModel.from_pretrained("copy"), UNet2DModel)


def test_a_pipeline_of_the_hub_is_read_as_one_in_a_folder(here, monkeypatch):
    """The libraries take a folder for a name as well; ours asks them as it does for a name."""
    read = [pipeline_of(made().config.model).config(name) for name in ("unet", "scheduler")]
    monkeypatch.setattr(Pipeline, "is_local", False)
    pipeline = pipeline_of(made().config.model)
    for name, expected in zip(("unet", "scheduler"), read, strict=True):
        found = pipeline.config(name)
        assert {key: found[key] for key in expected} == expected
    network = pipeline.checked_component("unet", UNet2DModel)
    assert sum(p.numel() for p in network.parameters()) == network_size(made()).n_parameters
    rewrite(here / FOLDER / "model_index.json", _class_name="LDMPipeline")
    assert_refused(pipeline.check_kind, key="model.pretrained", words="is a LDMPipeline")


def test_the_hub_is_asked_once(here, monkeypatch):
    """A folder stands for the Hub; once it was read, it may go."""
    monkeypatch.setattr(Pipeline, "is_local", False)
    first = config(name=OWN_MODEL)
    shutil.rmtree(here / FOLDER)
    assert config(name=OWN_MODEL) == first


def test_a_folder_without_a_lora_is_refused(here):
    lora = {"family": "sd-lora", "pretrained": "data/mini/queries", "config": LORA}
    words = "data/mini/queries has no pytorch_lora_weights.safetensors"
    changes = {"model": lora, "sampling.clip_sample": False, "data.resolution": 32}
    assert_refused(made, changes, key="model.pretrained", words=words)


def test_weights_that_are_not_those_of_the_config_are_refused(here):
    config = UNet2DModel.load_config(here / FOLDER / "unet")
    rewrite(here / FOLDER / "unet/config.json", layers_per_block=config["layers_per_block"] + 1)
    model = made().config.model
    assert_refused(
        family("unet2d").pretrained, model, None, key="model.pretrained", words="the unet of"
    )
