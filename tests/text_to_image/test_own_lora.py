"""A LoRA that somebody already has, by function and by workflow, against float64 autograd."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from changed_config import OWN_MODEL, raw
from diffusers import StableDiffusionPipeline
from running import Workflow
from safetensors.torch import load_file, save_file
from stand_ins import write_images

from diffattr import rng
from diffattr.api import attribute_images
from diffattr.artifacts import read_arrays
from diffattr.attribution.lambda_rule import RULE
from diffattr.config import ConfigError, Model
from diffattr.diffusion.families import family
from diffattr.diffusion.latents import Vae, embedded_captions

SEED = 3
PROMPTS = ["a disc", "a square", "a disc"]
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def lora(pipeline, tmp_path_factory):
    """A LoRA of rank 4 with random weights, as diffusers' own training script saves it."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    whole = StableDiffusionPipeline.from_pretrained(pipeline)
    whole.unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=TARGETS))
    with torch.no_grad():
        for name, parameter in whole.unet.named_parameters():
            if "lora_" in name:
                drawn = rng.generator("own-lora", name).standard_normal(parameter.shape)
                parameter.copy_(0.2 * torch.from_numpy(drawn))
    folder = tmp_path_factory.mktemp("lora")
    weights = convert_state_dict_to_diffusers(get_peft_model_state_dict(whole.unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)
    return folder


def loaded(pipeline, lora):
    whole = StableDiffusionPipeline.from_pretrained(pipeline)
    whole.load_lora_weights(lora)
    return whole


def drawn_images(n):
    drawn = rng.generator("own-lora", "images").uniform(-1, 1, (n, 3, 32, 32))
    return (np.round(127.5 * (drawn + 1)) / 127.5 - 1).astype(np.float32)  # what 8 bits can hold


def gradients(whole, images, prompts, split):
    """Return grad of the mean over two timesteps of the mean squared output, LoRA weights alone.

    By the pipeline's own VAE and text encoder, in float64.
    """
    double = whole.unet.double()
    weights = [p.requires_grad_() for n, p in double.named_parameters() if "lora_" in n]
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    abar = np.cumprod(1 - betas)
    rows = []
    for image, prompt in zip(images, prompts, strict=True):
        with torch.no_grad():
            latent = whole.vae.encode(torch.from_numpy(image[None])).latent_dist.mode()
            latent = (latent * whole.vae.config.scaling_factor).double()
            told, _ = whole.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)
        total = 0
        for t in (0, 500):
            noise = rng.Stream(SEED, "features").normal(0, t, 0, (1, 4, 16, 16)).astype(np.float64)
            x = np.sqrt(abar[t]) * latent + np.sqrt(1 - abar[t]) * torch.from_numpy(noise)
            predicted = double(x, torch.tensor([t]), told.double()).sample
            total = total + predicted.square().mean() / 2
        found = torch.autograd.grad(total, weights)
        rows.append(torch.cat([g.flatten() for g in found]).numpy())
    return np.stack(rows)


def test_scores_of_a_lora_are_those_of_the_formula(pipeline, lora):
    train, queries = drawn_images(3), drawn_images(5)[3:]
    found = attribute_images(
        loaded(pipeline, lora),
        train,
        queries,
        method="d-trak",
        lam=0.3,
        train_prompts=PROMPTS,
        query_prompts=["a square", "a disc"],
        n_timesteps=2,
        k=None,
        seed=SEED,
    )
    whole = loaded(pipeline, lora)
    phi = gradients(whole, train, PROMPTS, "train")
    psi = gradients(whole, queries, ["a square", "a disc"], "queries")
    ridge = 0.3 * np.square(phi).sum(1).mean()
    expected = psi @ phi.T @ np.linalg.inv(phi @ phi.T + ridge * np.eye(3))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_what_a_pipeline_trains_is_left_as_it_was(pipeline, lora):
    whole = loaded(pipeline, lora)
    before = {name: p.requires_grad for name, p in whole.unet.named_parameters()}
    options = {"method": "gradient-cosine", "train_prompts": PROMPTS, "n_timesteps": 2, "k": 64}
    found = attribute_images(
        whole, drawn_images(3), drawn_images(1), query_prompts=["a disc"], **options
    )
    assert found[0, 0] == pytest.approx(1, abs=1e-5)  # the same image under the same prompt
    assert {name: p.requires_grad for name, p in whole.unet.named_parameters()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_prompts": None}, "train: 3 images, found 0 as their prompts"),
        ({"train_prompts": PROMPTS[:2]}, "train: 3 images, found 2 as their prompts"),
        ({"query_prompts": "a disc"}, "queries: 1 images, found one text as their prompts"),
        ({"queries": drawn_images(1)[:, :, :16]}, r"queries: found shape \(1, 3, 16, 32\)"),
    ],
)
def test_what_does_not_fit_is_one_sentence(pipeline, lora, changes, message):
    given = {"train": drawn_images(3), "queries": drawn_images(1), "train_prompts": PROMPTS}
    given |= {"query_prompts": ["a disc"], "method": "d-trak", "lam": 0.1, **changes}
    with pytest.raises(ConfigError, match=message):
        attribute_images(loaded(pipeline, lora), given.pop("train"), given.pop("queries"), **given)


def test_a_pipeline_in_half_precision_is_refused(pipeline):
    whole = StableDiffusionPipeline.from_pretrained(pipeline)
    whole.unet.half()
    with pytest.raises(ConfigError, match=r"its unet is torch\.float16; load it with"):
        attribute_images(whole, drawn_images(1), drawn_images(1), method="d-trak", lam=0.1)


@pytest.fixture
def own_lora(pipeline, lora, tmp_path):
    """The mini config of one's own model, for a LoRA and folders of two classes."""
    workflow = Workflow(tmp_path)
    workflow.config = raw(name=OWN_MODEL)
    write_images(tmp_path / "images", seed=0)
    for number, kind in enumerate(("discs", "squares")):
        (tmp_path / "queries" / kind).mkdir(parents=True)
        source = tmp_path / "images" / kind / f"{number:03d}.png"
        shutil.copy(source, tmp_path / "queries" / kind)
    workflow.config["data"] |= {"folder": "images", "n_train": 12, "n_planted": 0}
    # Everything else is in the files: U-Net, rank, noise schedule, sampler and resolution.
    workflow.config["model"] = {
        "family": "sd-lora",
        "pretrained": str(lora),
        "config": {"pipeline": pipeline, "caption": "a photo of {}"},
    }
    workflow.config["queries"] = {"folder": "queries"}
    workflow.config["sampling"] = {"n_images": 2, "n_steps": 3, "guidance": 7.5}
    workflow.config["methods"] = {
        "d-trak-2": workflow.config["methods"]["d-trak-2"],
        "pixel-cosine": {"method": "pixel-cosine"},
    }
    return workflow


def test_the_workflow_gives_the_function_s_scores(own_lora, pipeline, lora):
    own_lora.run("all")
    root = own_lora.root
    settings = yaml.safe_load((root / "config.yaml").read_text())
    assert (settings["model"]["config"]["rank"], settings["data"]["resolution"]) == (4, 32)
    assert settings["noise_schedule"]["beta_end"] == 0.012
    assert not settings["sampling"]["clip_sample"]
    named = json.loads((root / "indices" / "names.json").read_text())["images"]
    pictures = {
        split: np.load(root / "images" / f"{split}.npy").astype(np.float32) / 127.5 - 1
        for split in ("train", "val")
    }
    prompts = {
        split: [f"a photo of {name.partition('/')[0]}" for name in named[split]]
        for split in ("train", "val")
    }
    expected = attribute_images(
        loaded(pipeline, lora),
        pictures["train"],
        pictures["val"],
        method="d-trak",
        lam=RULE["d-trak"],
        train_prompts=prompts["train"],
        query_prompts=prompts["val"],
        n_timesteps=2,
        k=256,
    )
    found = read_arrays(root / "scores" / "d-trak-2" / "val.zarr.zip")["scores"]
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
    assert (root / "report" / "queries" / "queries.html").exists()
    assert own_lora.pending() == {}


def pretrained(model, lora, captions, **changes):
    config = {**model.config, **changes}
    named = Model(family="sd-lora", config=config, pretrained=str(lora))
    return family("sd-lora").pretrained(named, captions)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_pipeline_of_which_weights_are_missing_is_refused(
    model, pipeline, lora, captions, tmp_path, part
):
    folder = tmp_path / "pipeline"
    shutil.copytree(pipeline, folder)
    (path,) = (folder / part).glob("*.safetensors")
    weights = load_file(path)
    name = sorted(weights)[0]
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    changed = {"pipeline": str(folder)}
    read = {
        "unet": lambda: pretrained(model, lora, captions, **changed),
        "vae": lambda: Vae(str(folder)),
        "text_encoder": lambda: embedded_captions(str(folder), ["a"]),
    }
    with pytest.raises(ConfigError, match=f"the weights of the {part} of .* 1 are missing"):
        read[part]()


def test_the_lora_that_is_taken_draws_as_the_pipeline_does(model, pipeline, lora, captions):
    found, _ = pretrained(model, lora, captions)
    x, t = torch.from_numpy(rng.generator("x").standard_normal((2, 4, 16, 16))).float(), 300
    theirs = loaded(pipeline, lora).unet(x, t, torch.from_numpy(captions[[0, 1]])).sample
    ours = found(x, torch.tensor([t, t]), labels=torch.tensor([0, 1]))[0]
    assert (ours - theirs).abs().max() < 1e-5


def scaled(path):
    """Write the LoRA as one of alpha 2."""
    weights = {name.removeprefix("unet."): tensor for name, tensor in load_file(path).items()}
    about = {"r": 4, "lora_alpha": 2, "target_modules": TARGETS}
    StableDiffusionPipeline.save_lora_weights(
        path.parent, unet_lora_layers=weights, unet_lora_adapter_metadata=about
    )


def without_one(path):
    """Leave out one A: peft would draw it at random."""
    weights = load_file(path)
    weights.pop(sorted(name for name in weights if ".down." in name or "lora_A" in name)[0])
    save_file(weights, path, metadata={"format": "pt"})


def with_a_text_encoder(path):
    weights = load_file(path)
    name = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({**weights, name: torch.zeros(4, 16)}, path, metadata={"format": "pt"})


def without_queries(path):
    weights = {name: tensor for name, tensor in load_file(path).items() if "to_q" not in name}
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "changes", "message"),
    [
        (lambda _: None, {"rank": 8}, "does not have rank 8"),
        (
            lambda path: path.unlink(),
            {},
            "cannot be read .* expected a folder with the pytorch_lora",
        ),
        (lambda path: path.write_bytes(b"no"), {}, "cannot be read"),
        (scaled, {}, "is scaled by alpha / rank = 0.5; expected 1"),
        (without_queries, {}, "does not have rank 4 on exactly the q, k, v"),
        (without_one, {}, r"\(found 63 weights, expected 64\); set model.config.rank"),
        (with_a_text_encoder, {}, r"of the U-Net \(found text_encoder\."),
    ],
)
def test_a_lora_that_does_not_fit_is_one_sentence(
    model, lora, captions, tmp_path, spoil, changes, message
):
    folder = tmp_path / "lora"
    shutil.copytree(lora, folder)
    spoil(folder / WEIGHTS)
    with pytest.raises(ConfigError, match=message) as caught:
        pretrained(model, folder, captions, **changes)
    assert "\n" not in str(caught.value)
