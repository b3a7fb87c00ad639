"""The public API: from a loaded pipeline and images to scores.

    from diffusers import DDPMPipeline
    from diffattr.api import attribute_images

    pipeline = DDPMPipeline.from_pretrained("my-model")
    scores = attribute_images(pipeline, train_images, query_images, method="d-trak", lam="rule")

Nothing is trained, so lambda cannot be selected by LDS: give a number, or `rule` for a documented
default. The jobs of a benchmark compute gradients and scores with the same functions.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from diffattr.attribution import method_of
from diffattr.attribution.base import VectorMethod
from diffattr.attribution.lambda_rule import named_lambda
from diffattr.config import ConfigError, Pass, ProjectorOptions, refuse
from diffattr.data.image_files import to_uint8
from diffattr.diffusion.families.sd_lora import CaptionedUNet
from diffattr.diffusion.latents import Vae, embedded
from diffattr.diffusion.pipelines import PIPELINE_CLASSES, network_errors, noise_schedule
from diffattr.features.gradients import GradientPass
from diffattr.features.store import TIMESTEP_LOSSES


def attribute_images(
    pipeline: Any,
    train: Tensor | np.ndarray,
    queries: Tensor | np.ndarray,
    *,
    method: str,
    lam: float | Literal["rule"] | None = None,
    train_prompts: Sequence[str] | None = None,
    query_prompts: Sequence[str] | None = None,
    n_timesteps: int = 10,
    k: int | None = 4096,
    noise: Literal["common", "per-image"] = "common",
    seed: int = 0,
    batch_size: int = 64,
) -> Float32[np.ndarray, "query train"]:
    """Return how much each training image lowers each query's loss, by one gradient method.

    Args:
        pipeline: a loaded diffusers pipeline in float32, on the device to use: an unconditional one
            with a `UNet2DModel`, such as `DDPMPipeline`, or a `StableDiffusionPipeline`. With
            LoRAs, gradients are computed for their weights alone, else for the U-Net's.
        train: training images in [-1, 1], (train, channel, height, width).
        queries: images to explain, like `train`.
        method: the name of a method that reads gradients of one model, such as `d-trak`.
        lam: in units of the mean |phi|^2 of training images; "rule" for the method's default in
            `diffattr.attribution.lambda_rule`; None for methods without lambda.
        train_prompts: the prompt of each training image, for text-to-image pipelines.
        query_prompts: the prompt of each query.
        n_timesteps: the number of timesteps that a gradient averages over.
        k: dimension of the projection; None keeps every parameter.
        noise: `common` compares all images under the same noise.
        seed: keys noise and projection.
        batch_size: timesteps that share a forward pass; changes rounding only.

    Raises:
        ConfigError: the pipeline, the images, the method or lambda cannot be used.
        PluginError: the method is a plug-in, and cannot be loaded or broke its contract.
    """
    chosen = method_of(method)
    if chosen.reads != "features" or chosen.over == "checkpoints" or chosen.curvature:
        raise ConfigError(f"method: {method} does not work from gradients of one model alone")
    if chosen.follows_trajectory:
        raise ConfigError(f"method: {method} follows the sampler, whose trajectories are unknown")
    output_function = chosen.output_function or "loss"
    options = Pass(
        n_timesteps=n_timesteps,
        noise=noise,
        output_functions=(output_function,),
        projector=ProjectorOptions(kind="none" if k is None else "sjlt", k=k, seed=seed),
        unit_gradients=chosen.unit_gradients,
    )
    if not chosen.has_lambda and lam is not None:
        raise ConfigError(f"lam: found {lam!r}, but {method} has no lambda")
    ridge = named_lambda(method, lam) if chosen.has_lambda else None
    images = {"train": train, "queries": queries}
    prompts = {"train": train_prompts, "queries": query_prompts}
    network, inputs, labels = _prepared(pipeline, images, prompts)
    schedule = noise_schedule(pipeline.scheduler.config, "pipeline")
    required = {name: p.requires_grad for name, p in network.named_parameters()}
    try:
        _require_gradients(network)
        gradients = GradientPass(network, schedule, options, seed, device=str(pipeline.device))
        features = {
            side: gradients.features(
                of, np.arange(len(of)), side, labels=labels[side], batch_size=batch_size
            )
            for side, of in inputs.items()
        }
    finally:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(required[name])
    phi, psi = (features[side][output_function] for side in ("train", "queries"))
    losses = features["train"][TIMESTEP_LOSSES]
    attribution = cast(VectorMethod, chosen).attribute(phi, psi, losses=losses)
    return attribution.scores(ridge).astype(np.float32)


_Images = dict[str, Float32[np.ndarray, "image c h w"]]
_Labels = dict[str, Int64[np.ndarray, " image"] | None]


def _prepared(
    pipeline: Any, images: dict[str, Any], prompts: dict[str, Sequence[str] | None]
) -> tuple[torch.nn.Module, _Images, _Labels]:
    """Return the network, its inputs (images or latents) and the labels of their prompts."""
    unet: Any = getattr(pipeline, "unet", None)
    kind, name = type(unet).__name__, type(pipeline).__name__
    if name not in PIPELINE_CLASSES.get(kind, ()):
        known = ", ".join(known for names in PIPELINE_CLASSES.values() for known in names)
        raise ConfigError(
            f"pipeline: found {name} with unet {kind}, expected a loaded pipeline: {known}"
        )
    conditional = kind == "UNet2DConditionModel"
    errors = [] if conditional else list(network_errors("pipeline: its network", unet.config))
    for part in ("unet", "vae", "text_encoder") if conditional else ("unet",):
        if (dtype := getattr(pipeline, part).dtype) != torch.float32:
            errors.append(f"pipeline: its {part} is {dtype}; load it with torch_dtype=float32")
    if unet.config["sample_size"] is None:
        errors.append("pipeline: unet.config has no sample_size; set it")
    refuse(errors)
    height, width = np.broadcast_to(unet.config["sample_size"], 2).tolist()
    if not conditional:
        if given := [side for side, texts in prompts.items() if texts is not None]:
            raise ConfigError(f"{given[0]}: prompts were given, but this pipeline takes none")
        shape = (unet.config["in_channels"], height, width)
        inputs = {side: _checked(side, of, shape) for side, of in images.items()}
        return unet, inputs, dict.fromkeys(images)
    vae = Vae("the pipeline", vae=pipeline.vae, device=str(pipeline.device))
    shape = (3, height * vae.factor, width * vae.factor)
    pixels = {side: to_uint8(_checked(side, of, shape)) for side, of in images.items()}
    texts = {side: _texts(side, prompts[side], len(of)) for side, of in pixels.items()}
    captions = list(dict.fromkeys(text for of in texts.values() for text in of))
    numbers = {text: number for number, text in enumerate(captions)}
    labels: _Labels = {side: np.array([numbers[text] for text in of]) for side, of in texts.items()}
    conditioning = embedded(pipeline.tokenizer, pipeline.text_encoder, [*captions, ""])
    latents = (unet.config["in_channels"], height, width)
    inputs = {side: vae.encode(of, latents) for side, of in pixels.items()}
    return CaptionedUNet(unet, torch.from_numpy(conditioning)), inputs, labels


def _texts(side: str, prompts: Sequence[str] | None, n: int) -> Sequence[str]:
    """Return the prompts of some images; raises ConfigError if there is not one per image."""
    found = [] if prompts is None or isinstance(prompts, str) else prompts
    if len(found) != n or not all(isinstance(text, str) for text in found):
        raise ConfigError(
            f"{side}: {n} images, found {'one text' if isinstance(prompts, str) else len(found)} as"
            " their prompts, expected a list with one text each"
        )
    return found


def _require_gradients(network: torch.nn.Module) -> None:
    """Require gradients of the weights of LoRAs, or of all weights if there are none."""
    names = [name for name, _ in network.named_parameters()]
    adapters = {name for name in names if ".lora_" in name}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in adapters or not adapters)


def _checked(
    name: str, images: Any, expected: tuple[int, int, int]
) -> Float32[np.ndarray, "image c h w"]:
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.ndim != 4 or not len(array) or array.shape[1:] != expected:
        raise ConfigError(
            f"{name}: found shape {array.shape}, expected (image, {', '.join(map(str, expected))})"
        )
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise ConfigError(f"{name}: found {array.dtype}, expected finite numbers in [-1, 1]")
    if array.min() < -1 - 1e-3 or array.max() > 1 + 1e-3:
        raise ConfigError(
            f"{name}: values from {array.min():g} to {array.max():g}, expected [-1, 1]; the pixels"
            " of files are x / 127.5 - 1"
        )
    return np.ascontiguousarray(array, dtype=np.float32)
