"""What people import: from a loaded pipeline and images to scores.

    from diffusers import DDPMPipeline
    from diffattr.api import attribute_images

    pipeline = DDPMPipeline.from_pretrained("my-model")
    scores = attribute_images(pipeline, train_images, query_images, method="d-trak", lam="rule")

Nothing is trained, so there is no LDS to choose lambda by: it is named, or taken from a stated
rule. The gradients and scores are made by the functions that a benchmark's jobs call.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from diffattr.attribution import method_of
from diffattr.attribution.lambda_rule import named_lambda
from diffattr.config import ConfigError, Pass, ProjectorOptions
from diffattr.data.image_files import to_uint8
from diffattr.diffusion.families.sd_lora import CaptionedUNet
from diffattr.diffusion.latents import Vae, embedded
from diffattr.diffusion.pipelines import PIPELINE_CLASSES, network_errors, noise_schedule
from diffattr.features.gradients import GradientPass


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
        pipeline: a loaded diffusers pipeline, on the device where to compute and in float32: an
            unconditional one with a `UNet2DModel`, such as `DDPMPipeline`, or a
            `StableDiffusionPipeline`. Where LoRAs are loaded into it, gradients are of their
            weights alone, else of the whole U-Net.
        train: training images in [-1, 1], (train, channel, height, width).
        queries: images to ask about, as `train`.
        method: the name of a method that reads gradients of one model, such as `d-trak`.
        lam: in units of the mean |phi|^2 of training images; "rule" is that of
            `diffattr.attribution.lambda_rule`. For methods without lambda it stays None.
        train_prompts: for text-to-image pipelines, what each training image was called.
        query_prompts: the same for the queries.
        n_timesteps: how many timesteps a gradient averages over.
        k: dimension of the projection; None keeps every parameter.
        noise: `common` compares all images under the same noise.
        seed: keys noise and projection.
        batch_size: timesteps that share a forward pass; changes rounding only.

    Raises:
        ConfigError: the pipeline, the images, the method or lambda are not what is expected.
        PluginError: the method is a plug-in, and cannot be loaded or broke its contract.
    """
    chosen = method_of(method)
    if "features" not in chosen.keys or chosen.over == "checkpoints" or chosen.curvature:
        raise ConfigError(f"method: {method} does not work from gradients of one model alone")
    if chosen.follows_trajectory:
        raise ConfigError(f"method: {method} follows the sampler, which images alone do not tell")
    output_function = chosen.output_function or "loss"
    projector = ProjectorOptions(kind="none")
    if k is not None:
        projector = ProjectorOptions(kind="sjlt", k=k, seed=seed)
    options = Pass(
        n_timesteps=n_timesteps,
        noise=noise,
        output_functions=(output_function,),
        projector=projector,
        unit_gradients=chosen.unit_gradients,
    )
    if not chosen.has_lambda and lam is not None:
        raise ConfigError(f"lam: found {lam!r}, but {method} has no lambda")
    ridge = named_lambda(method, lam) if chosen.has_lambda else None
    images = {"train": train, "queries": queries}
    prompts = {"train": train_prompts, "queries": query_prompts}
    network, shown, labels = _prepared(pipeline, images, prompts)
    schedule = noise_schedule(pipeline.scheduler.config, "pipeline")
    wanted_gradients = {name: p.requires_grad for name, p in network.named_parameters()}
    try:
        _require_gradients(network)
        gradients = GradientPass(network, schedule, options, seed, device=str(pipeline.device))
        features = {
            side: gradients.features(
                of, np.arange(len(of)), side, labels=labels[side], batch_size=batch_size
            )
            for side, of in shown.items()
        }
    finally:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(wanted_gradients[name])
    phi, psi = (features[side][output_function] for side in ("train", "queries"))
    return chosen.attribute(phi, psi).scores(ridge).astype(np.float32)


_Images = dict[str, Float32[np.ndarray, "image c h w"]]
_Labels = dict[str, Int64[np.ndarray, " image"] | None]


def _prepared(
    pipeline: Any, images: dict[str, Any], prompts: dict[str, Sequence[str] | None]
) -> tuple[torch.nn.Module, _Images, _Labels]:
    """Return the network, what it is shown in the place of images, and labels of their prompts."""
    unet: Any = getattr(pipeline, "unet", None)
    kind, name = type(unet).__name__, type(pipeline).__name__
    if name not in PIPELINE_CLASSES.get(kind, ()):
        known = ", ".join(known for names in PIPELINE_CLASSES.values() for known in names)
        raise ConfigError(
            f"pipeline: found a {name} with a {kind} as its unet; expected one of {known}"
        )
    is_told = kind == "UNet2DConditionModel"
    errors = [] if is_told else list(network_errors("pipeline: its network", unet.config))
    for part in ("unet", "vae", "text_encoder") if is_told else ("unet",):
        if (dtype := getattr(pipeline, part).dtype) != torch.float32:
            errors.append(f"pipeline: its {part} is {dtype}; load it with torch_dtype=float32")
    if unet.config["sample_size"] is None:
        errors.append("pipeline: its network says no sample_size; set unet.config's")
    if errors:
        raise ConfigError("\n".join(errors))
    height, width = np.broadcast_to(unet.config["sample_size"], 2).tolist()
    if not is_told:
        if given := [side for side, texts in prompts.items() if texts is not None]:
            raise ConfigError(f"{given[0]}: prompts found, but the pipeline is told none")
        shape = (unet.config["in_channels"], height, width)
        shown = {side: _checked(side, of, shape) for side, of in images.items()}
        return unet, shown, dict.fromkeys(images)
    vae = Vae("the pipeline", vae=pipeline.vae, device=str(pipeline.device))
    shape = (3, height * vae.factor, width * vae.factor)
    pictures = {side: to_uint8(_checked(side, of, shape)) for side, of in images.items()}
    texts = {side: _texts(side, prompts[side], len(of)) for side, of in pictures.items()}
    captions = list(dict.fromkeys(text for of in texts.values() for text in of))
    numbers = {text: number for number, text in enumerate(captions)}
    labels: _Labels = {side: np.array([numbers[text] for text in of]) for side, of in texts.items()}
    told = embedded(pipeline.tokenizer, pipeline.text_encoder, [*captions, ""])
    latents = (unet.config["in_channels"], height, width)
    shown = {side: vae.encode(of, latents) for side, of in pictures.items()}
    return CaptionedUNet(unet, torch.from_numpy(told)), shown, labels


def _texts(side: str, prompts: Sequence[str] | None, n: int) -> Sequence[str]:
    """Return the prompts of some images.

    Raises:
        ConfigError: there is not a text for each.
    """
    found = [] if prompts is None or isinstance(prompts, str) else prompts
    if len(found) != n or not all(isinstance(text, str) for text in found):
        raise ConfigError(
            f"{side}: {n} images, found {'one text' if isinstance(prompts, str) else len(found)} as"
            " their prompts; a list with one text each is expected"
        )
    return found


def _require_gradients(network: torch.nn.Module) -> None:
    """Let gradients be of the weights of LoRAs, or of all where there are none."""
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
