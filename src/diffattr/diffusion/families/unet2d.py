"""diffusers' `UNet2DModel` on pixels; `model.config` holds its constructor's arguments."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.unets.unet_2d import UNet2DModel

from diffattr.config import Model
from diffattr.diffusion.families import Captions, pipeline_of


def network(config: Mapping[str, Any], captions: Captions | None) -> torch.nn.Module:  # noqa: ARG001
    """Return the network; `config` may also come from `saved_config`."""
    written_by_diffusers = "_class_name" in config
    built: Any = (
        UNet2DModel.from_config(dict(config)) if written_by_diffusers else UNet2DModel(**config)
    )
    return built


def outline(config: Mapping[str, Any]) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Return the network, which has no conditioning."""
    return network(config, None), {}


def saved_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return diffusers' config, so that `UNet2DModel.from_pretrained` reads the folder."""
    with torch.device("meta"):
        unet: Any = network(config, None)
    return json.loads(unet.to_json_string())


def pretrained(
    model: Model,
    captions: Captions | None,  # noqa: ARG001
) -> tuple[torch.nn.Module, Model]:
    """Return a pipeline's network, and the model that describes it."""
    return pipeline_of(model).checked_component("unet", UNet2DModel), model
