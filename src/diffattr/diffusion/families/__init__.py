"""Families of networks: a family is one small module, and one line in the registry.

Modules are named, not imported, so that the registry can be read without loading torch. A family's
module has the functions of `Family`.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast, runtime_checkable

import msgspec
import numpy as np
from jaxtyping import Float32
from msgspec import Meta

from diffattr.config import ConfigError, Model, Positive, Share
from diffattr.diffusion.pipelines import Pipeline

if TYPE_CHECKING:
    import torch

Captions = Float32[np.ndarray, "caption token dim"]
"""Captions as a text encoder gives them, one per class and at last the empty one."""


class StableDiffusionLora(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The config of a LoRA on the U-Net of a Stable-Diffusion pipeline.

    Attributes:
        pipeline: the pipeline's folder, or its name on the hub.
        unet: what its unet/config.json says, read from there where a config leaves it out;
            diffusers' defaults for keys that are missing.
        rank: of the LoRA on the q, k, v and output projections of every attention layer.
        dropout: of the outputs of attention layers, in training.
        caption: the prompt of an image, with {} in the place of its class.
    """

    pipeline: Annotated[str, Meta(min_length=1)]
    unet: dict[str, Any]
    rank: Positive
    dropout: Share = 0.0
    caption: str = "{}"


@runtime_checkable
class Family(Protocol):
    """What a family's module does; `config` is `model.config`."""

    def network(self, config: Mapping[str, Any], captions: Captions | None) -> "torch.nn.Module":
        """Return the network with initial weights of torch's global generator.

        Its parameters that require a gradient are what is trained and stored.
        """
        ...

    def outline(self, config: Mapping[str, Any]) -> tuple["torch.nn.Module", dict[str, Any]]:
        """Return a network to count with, and what it is told next to images and timesteps.

        Called under torch's meta device; no weights are read.
        """
        ...

    def saved_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of the config.json beside a model's weights."""
        ...

    def pretrained(
        self, model: Model, captions: Captions | None
    ) -> tuple["torch.nn.Module", Model]:
        """Return a network that is trained already, and the model that it is.

        Raises:
            ConfigError: there is none, or not the one that the config says.
        """
        ...


@dataclass(frozen=True)
class FamilyEntry:
    """Where a family's module is, and what can be told of it without loading torch.

    `weights_file` is what a model's weights are called on disk; `options` the type of its config,
    None where diffusers judges it; `unet` the class of network in a pipeline that it is for. A
    family with `captions` trains an adapter on the network of a pipeline, which works on latents of
    its VAE and is told captions.
    """

    module: str
    weights_file: str
    unet: str
    options: type[StableDiffusionLora] | None = None
    text_conditioned: bool = False


MODEL_FAMILIES: dict[str, FamilyEntry] = {
    "unet2d": FamilyEntry(
        "diffattr.diffusion.families.unet2d",
        "diffusion_pytorch_model.safetensors",
        "UNet2DModel",
    ),
    "sd-lora": FamilyEntry(
        "diffattr.diffusion.families.sd_lora",
        "pytorch_lora_weights.safetensors",
        "UNet2DConditionModel",
        StableDiffusionLora,
        text_conditioned=True,
    ),
}


def family(name: str) -> Family:
    """Return the module of a family; loads torch."""
    return cast(Family, importlib.import_module(MODEL_FAMILIES[name].module))


def options(model: Model) -> StableDiffusionLora | None:
    """Return the config of a model whose family has a type for it, None for others.

    Raises:
        ConfigError: it is not of that type.
    """
    kind = MODEL_FAMILIES[model.family].options
    if kind is None:
        return None
    try:
        return msgspec.convert(model.config, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"model.config: {error} ({model.family} takes: {known})") from error


def pipeline_of(model: Model) -> Pipeline:
    """Return the pipeline that a model is, or that it is a LoRA of.

    Raises:
        ConfigError: the config does not name one.
    """
    unet = MODEL_FAMILIES[model.family].unet
    if (adapter := options(model)) is not None:
        return Pipeline(adapter.pipeline, unet)
    return Pipeline(str(model.pretrained), unet, key="model.pretrained")


def sample_shape(model: Model, resolution: int) -> tuple[int, int, int]:
    """Return channels, height and width of what a network denoises, for images of a resolution."""
    if (found := options(model)) is None:
        return model.config.get("in_channels", 3), resolution, resolution
    side = found.unet.get("sample_size", resolution)
    return found.unet.get("in_channels", 4), side, side
