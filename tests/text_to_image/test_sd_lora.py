"""The LoRA of a pipeline against diffusers' own pipeline, float64 autograd and counts by hand."""

import shutil

import msgspec
import numpy as np
import pytest
import tiny
import torch
from changed_config import benchmark
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from diffattr import rng
from diffattr.artifacts import ArtifactError
from diffattr.config import (
    ConfigError,
    NoiseSchedule,
    Pass,
    ProjectorOptions,
    Recipe,
    Sampling,
)
from diffattr.data.source import DataError
from diffattr.diffusion.families import family, sample_shape
from diffattr.diffusion.latents import Vae, caption, embedded_captions
from diffattr.diffusion.models import (
    build,
    predict,
    read_block,
    read_network,
    trained_parameters,
    write_block,
    write_networks,
)
from diffattr.diffusion.sampling import Sampler, labels_in_blocks
from diffattr.diffusion.training import TrainingSet, train
from diffattr.diffusion.training.stack import Stack
from diffattr.features.gradients import GradientPass
from diffattr.plan.network import network_size

SCHEDULE = NoiseSchedule(
    n_timesteps=1000, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
)
TRAINING = msgspec.structs.replace(
    tiny.TRAINING,
    learning_rate=0.05,
    betas=(0.9, 0.999),
    mixed_precision="fp16",
    caption_drop=0.1,
)
SAMPLING = Sampling(
    n_images=4,
    n_steps=5,
    guidance=7.5,
    clip_sample=False,
    steps_offset=1,
    set_alpha_to_one=False,
    classes=("baroque", 0),
)
WEIGHTS_FILE = "pytorch_lora_weights.safetensors"
SEED = 3


def draws(name, *shape):
    return rng.generator("sd-lora", name).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def data(captions):
    return TrainingSet(
        draws("images", 6, 4, 16, 16),
        np.arange(6),
        np.array([0, 1] * 3),
        captions,
        draws("mirrored", 6, 4, 16, 16),
    )


def run(data, model, scratch, **changes):
    training = msgspec.structs.replace(TRAINING, **changes)
    recipe = Recipe(model=model, noise_schedule=SCHEDULE, training=training)
    subsets = [np.arange(6)]
    return train(data, subsets, SEED, recipe, models_per_stack=1, scratch=scratch)


@pytest.fixture
def weights(data, model, tmp_path):
    return run(data, model, tmp_path / "scratch")


def livelier(network):
    """Give the up-projections, which start at zero, some weight."""
    with torch.no_grad():
        for name, parameter in trained_parameters(network).items():
            parameter.add_(0.1 * torch.from_numpy(draws(name, *parameter.shape)))
    return network.eval()


def test_a_lora_of_rank_128_on_stable_diffusion_1_trains_25_509_888_parameters(model):
    unet = {"sample_size": 32, "cross_attention_dim": 768, "attention_head_dim": 8}
    config = {**model.config, "unet": unet, "rank": 128}
    with torch.device("meta"):
        network, _ = family("sd-lora").outline(config)
    size = network_size(benchmark(name="configs/artbench2.yaml"))
    assert (size.n_parameters, size.n_frozen) == (25_509_888, 859_520_964)
    # Counted in models of the D-TRAK repository: 32 attention layers, four projections in each.
    assert (
        sum(parameter.numel() for parameter in trained_parameters(network).values()) == 25_509_888
    )
    assert len(trained_parameters(network)) == 32 * 4 * 2
    every = sum(parameter.numel() for parameter in network.parameters())
    assert every - 25_509_888 == 859_520_964  # the U-Net of Stable Diffusion 1


def test_dropout_is_on_attention_outputs_alone(model, captions):
    network = build(model, SEED, captions)
    dropouts = {n: m.p for n, m in network.named_modules() if isinstance(m, torch.nn.Dropout)}
    attentions = [name for name in dropouts if "attn" in name]
    assert len(attentions) == 2 * (1 + 2 + 1)  # down, up twice, middle: each self and cross
    assert {name for name, p in dropouts.items() if p} == set(attentions)
    assert {dropouts[name] for name in attentions} == {0.1}


def test_an_untrained_lora_changes_nothing(pipeline, model, captions):
    x, t = torch.from_numpy(draws("x", 2, 4, 16, 16)), torch.tensor([3, 700])
    unet = UNet2DConditionModel.from_pretrained(pipeline, subfolder="unet").eval()
    with torch.no_grad():
        expected = unet(x, t, torch.from_numpy(captions[[1, 2]])).sample
        found = predict(build(model, SEED, captions).eval(), x, t, torch.tensor([1, -1]))
    # 1e-5: peft adds zeros, in another order of operations.
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_diffusers_own_pipeline_with_our_lora_draws_our_images(
    pipeline, model, captions, weights, tmp_path
):
    write_networks(tmp_path / "run", weights, model)
    network = read_network(tmp_path / "run" / WEIGHTS_FILE, captions)
    labels = labels_in_blocks(SAMPLING, ["ukiyo_e", "baroque"])
    sampler = Sampler(network, SCHEDULE, SAMPLING, SEED, labels=labels, batch_size=3)
    ours = sampler.images(range(4))
    theirs = StableDiffusionPipeline.from_pretrained(pipeline, local_files_only=True)
    theirs.set_progress_bar_config(disable=True)
    start = rng.Stream(SEED, "generation")
    latents = np.stack([start.normal(number, 0, 0, (4, 16, 16)) for number in range(4)])
    asked = {
        "prompt": ["a baroque painting"] * 2 + ["a ukiyo e painting"] * 2,
        "latents": torch.from_numpy(latents),
        "num_inference_steps": 5,
        "guidance_scale": 7.5,
        "height": 32,
        "width": 32,
    }
    without = theirs(**asked, output_type="latent").images.numpy()
    theirs.load_lora_weights(tmp_path / "run")
    expected = theirs(**asked, output_type="latent").images.numpy()
    assert np.abs(expected - without).max() > 0.01  # the LoRA says something
    # 1e-3 of numbers of order 1: guidance takes 7.5 times a difference, five times over.
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    pictures = theirs(**asked, output_type="np").images
    decoded = Vae(pipeline).decode(ours).transpose(0, 2, 3, 1) / 255
    np.testing.assert_allclose(decoded, pictures, atol=0.51 / 255 + 1e-3)


def test_a_class_to_generate_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match=r"sampling\.classes: class baroque does not exist"):
        labels_in_blocks(SAMPLING, ["ukiyo_e", "cubism"])


def test_latents_are_those_of_diffusers_own_image_processor(pipeline):
    theirs = StableDiffusionPipeline.from_pretrained(pipeline, local_files_only=True)
    pictures = rng.generator("pictures").integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    images = theirs.image_processor.preprocess(pictures.transpose(0, 2, 3, 1) / np.float32(255))
    with torch.no_grad():
        moments = theirs.vae.encode(images).latent_dist
    expected = moments.mean * theirs.vae.config.scaling_factor  # a Gaussian's mode is its mean
    found = Vae(pipeline, batch_size=2).encode(pictures, (4, 16, 16))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_captions_are_what_the_pipeline_itself_makes_of_a_prompt(pipeline, captions):
    theirs = StableDiffusionPipeline.from_pretrained(pipeline, local_files_only=True)
    expected, empty = theirs.encode_prompt("a baroque painting", "cpu", 1, True)
    np.testing.assert_allclose(captions[1], expected[0].detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(captions[2], empty[0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("post_impressionism", "a post impressionism painting"),
        ("ukiyo_e", "a ukiyo e painting"),
        ("Baroque", "a baroque painting"),
    ],
)
def test_captions_are_worded_as_in_the_paper_s_repository(name, expected):
    assert caption("a {} painting", name) == expected


def test_features_are_gradients_of_the_lora_alone(model, captions):
    network = livelier(build(model, SEED, captions))
    options = Pass(
        n_timesteps=2,
        noise="common",
        output_functions=("loss", "mean-squared-l2-norm"),
        projector=ProjectorOptions(kind="none"),
    )
    images, labels = draws("images", 2, 4, 16, 16), np.array([1, 0])
    found = GradientPass(network, SCHEDULE, options, SEED).features(
        images, np.array([5, 9]), "train", labels=labels
    )
    double = network.double()
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    abar = np.cumprod(1 - betas)
    stream = rng.Stream(SEED, "features")
    for image in range(2):
        loss = square = 0
        for t in (0, 500):
            noise = stream.normal(0, t, 0, (4, 16, 16)).astype(np.float64)
            x = np.sqrt(abar[t]) * images[image] + np.sqrt(1 - abar[t]) * noise
            caption = torch.from_numpy(captions[[labels[image]]]).double()
            predicted = double.unet(torch.from_numpy(x[None]), torch.tensor([t]), caption).sample
            loss = loss + (predicted - torch.from_numpy(noise)).square().mean() / 2
            square = square + predicted.square().mean() / 2
        parameters = [p for p in double.parameters() if p.requires_grad]
        for name, value in (("loss", loss), ("mean-squared-l2-norm", square)):
            gradient = torch.autograd.grad(value, parameters, retain_graph=True)
            expected = torch.cat([g.flatten() for g in gradient]).numpy()
            error = np.linalg.norm(found[name][image] - expected) / np.linalg.norm(expected)
            assert error < 1e-4, name  # float32 against float64


def test_unit_gradients_are_taken_of_a_lora_too(model, captions):
    network = livelier(build(model, SEED, captions))
    options = {
        "noise": "common",
        "output_functions": ("mean",),
        "projector": ProjectorOptions(kind="none"),
    }
    images, ids, labels = draws("images", 1, 4, 16, 16), np.array([5]), np.array([1])

    def features(n, unit):
        chosen = Pass(n_timesteps=n, unit_gradients=unit, **options)
        taken = GradientPass(network, SCHEDULE, chosen, SEED)
        return taken.features(images, ids, "train", labels=labels)["mean"][0]

    plain = features(1, unit=False)
    np.testing.assert_allclose(features(1, unit=True), plain / np.linalg.norm(plain), atol=1e-5)


def test_a_killed_run_goes_on_to_the_same_bytes(data, model, weights, tmp_path, monkeypatch):
    real, calls = Stack.clip, iter(range(100))

    def killed(self, clip_norm):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(self, clip_norm)

    recipe = Recipe(model=model, noise_schedule=SCHEDULE, training=TRAINING)
    arguments = (data, [np.arange(6)], SEED, recipe)
    options = {"models_per_stack": 1, "scratch": tmp_path / "again", "save_state_every_s": 0.0}
    with monkeypatch.context() as patched:
        patched.setattr(Stack, "clip", killed)
        with pytest.raises(KeyboardInterrupt):
            train(*arguments, **options)
    again = train(*arguments, **options)
    assert again.keys() == weights.keys()
    for name, tensor in weights[4].items():
        assert torch.equal(again[4][name], tensor)


def test_only_the_lora_is_trained_and_both_halves_of_it_are(model, captions, weights):
    before = trained_parameters(build(model, SEED, captions))
    last = weights[4]
    assert set(last) == set(before)
    assert all(not torch.equal(last[name][0], before[name]) for name in before)


def test_a_block_comes_back_model_by_model(model, captions, tmp_path):
    networks = [livelier(build(model, seed, captions)) for seed in (1, 2)]
    stacked = {
        name: torch.stack([trained_parameters(network)[name].detach() for network in networks])
        for name in trained_parameters(networks[0])
    }
    write_block(tmp_path / "block", stacked, model, [4, 7])
    subsets, found = read_block(tmp_path / "block", captions)
    assert subsets == [4, 7]
    arguments = (torch.from_numpy(draws("x", 1, 4, 16, 16)), torch.tensor([9]), torch.tensor([0]))
    with torch.no_grad():
        answers = [predict(network, *arguments) for network in (*found, *networks)]
    assert torch.equal(answers[0], answers[2])
    assert torch.equal(answers[1], answers[3])
    assert not torch.equal(answers[0], answers[1])


def test_what_a_network_is_shown_is_told_without_weights(model):
    assert sample_shape(model, 32) == (4, 16, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unet": {"sample_size": 32}}, r"unet\.sample_size: found 32, the pipeline .* has 16"),
        ({"pipeline": "/no/such/folder"}, "cannot be read"),
        ({"rank": 0}, "rank"),
        ({"ranks": 4}, "ranks"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(model, captions, change, message):
    wrong = msgspec.structs.replace(model, config={**model.config, **change})
    with pytest.raises(ConfigError, match=message):
        build(wrong, SEED, captions)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("text_encoder", "has no text_encoder"),
        ("tokenizer", "has no tokenizer"),
        ("model_index.json", "is not a diffusers pipeline"),
    ],
)
def test_a_pipeline_that_is_not_whole_is_refused(pipeline, tmp_path, lost, message):
    shutil.copytree(pipeline, tmp_path / "broken")
    place = tmp_path / "broken" / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(ConfigError, match=message):
        embedded_captions(str(tmp_path / "broken"), [""])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"_class_name": "StableDiffusionXLPipeline"}',
            "is a StableDiffusionXLPipeline, expected",
        ),
        ("{}", "does not state the class"),
        ("[]", "is not a mapping"),
        ("<html>", "cannot be read"),
    ],
)
def test_a_pipeline_of_another_kind_is_refused(pipeline, tmp_path, content, message):
    shutil.copytree(pipeline, tmp_path / "other")
    (tmp_path / "other" / "model_index.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        embedded_captions(str(tmp_path / "other"), [""])


def test_pictures_of_another_size_are_refused(pipeline):
    with pytest.raises(ConfigError, match=r"4 x 32 x 32, model\.config\.unet expects 4 x 16 x 16"):
        Vae(pipeline).encode(np.zeros((1, 3, 64, 64), dtype=np.uint8), (4, 16, 16))


def test_weights_of_another_rank_are_refused(model, captions, weights, tmp_path):
    write_networks(tmp_path / "run", weights, model)
    config = (tmp_path / "run" / "config.json").read_text().replace('"rank": 4', '"rank": 8')
    (tmp_path / "run" / "config.json").write_text(config)
    with pytest.raises(ArtifactError, match="has shape"):
        read_network(tmp_path / "run" / WEIGHTS_FILE, captions)
