"""Families of networks: a family is a module with the functions of `Family` and a registry entry.

Modules are named, not imported, so that the registry can be read without loading torch.
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
"""Text embeddings of captions, one per class; the last is the empty caption."""


class StableDiffusionLora(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The config of a LoRA on the U-Net of a Stable Diffusion pipeline.

    Attributes:
        pipeline: the pipeline's folder, or its name on the Hub.
        unet: the content of its unet/config.json, by default read from there; diffusers' defaults
            apply to missing keys.
        rank: rank of the LoRA on the q, k, v and output projections of every attention layer.
        dropout: dropout of the outputs of attention layers in training.
        caption: the prompt of an image, with {} in place of its class.
    """

    pipeline: Annotated[str, Meta(min_length=1)]
    unet: dict[str, Any]
    rank: Positive
    dropout: Share = 0.0
    caption: str = "{}"


@runtime_checkable
class Family(Protocol):
    """The functions of a family's module; `config` is `model.config`."""

    def network(self, config: Mapping[str, Any], captions: Captions | None) -> "torch.nn.Module":
        """Return the network, its initial weights drawn from torch's global generator.

        The parameters that require a gradient are trained and stored.
        """
        ...

    def outline(self, config: Mapping[str, Any]) -> tuple["torch.nn.Module", dict[str, Any]]:
        """Return a network for counting parameters, and its conditioning keyword arguments.

        Called under torch's meta device; reads no weights.
        """
        ...

    def saved_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of the config.json beside a model's weights."""
        ...

    def pretrained(
        self, model: Model, captions: Captions | None
    ) -> tuple["torch.nn.Module", Model]:
        """Return an already trained network, and the model that describes it.

        Raises:
            ConfigError: it does not exist, or does not match the config.
        """
        ...


@dataclass(frozen=True)
class FamilyEntry:
    """The description of a family that can be read without loading torch.

    `unet` is the class of its network in a pipeline, `options` the type of its config, None if
    diffusers checks it. A text-conditioned family trains an adapter on the network of a pipeline,
    which denoises latents of the pipeline's VAE, conditioned on captions.
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
    """Return a model's config as its family's type, None if the family has none.

    Raises:
        ConfigError: the config does not match the type.
    """
    kind = MODEL_FAMILIES[model.family].options
    if kind is None:
        return None
    try:
        return msgspec.convert(model.config, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"model.config: {error} ({model.family} has: {known})") from error


def pipeline_of(model: Model) -> Pipeline:
    """Return the pipeline of a model, or the pipeline below its LoRA.

    Raises:
        ConfigError: the config does not name one.
    """
    unet = MODEL_FAMILIES[model.family].unet
    if (adapter := options(model)) is not None:
        return Pipeline(adapter.pipeline, unet)
    return Pipeline(str(model.pretrained), unet, key="model.pretrained")


def sample_shape(model: Model, resolution: int) -> tuple[int, int, int]:
    """Return channels, height and width of a network's inputs, for images of a resolution."""
    if (found := options(model)) is None:
        return model.config.get("in_channels", 3), resolution, resolution
    side = found.unet.get("sample_size", resolution)
    return found.unet.get("in_channels", 4), side, side
