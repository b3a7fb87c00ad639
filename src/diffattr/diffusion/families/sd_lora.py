"""A LoRA on the U-Net of a Stable Diffusion pipeline, conditioned on the caption of each image.

The pipeline's weights are frozen; only the LoRA on the q, k, v and output projections of all
attention layers is trained, stored and differentiated.

Sources: Rombach et al., "High-resolution image synthesis with latent diffusion models" (CVPR 2022);
Hu et al., "LoRA: low-rank adaptation of large language models" (ICLR 2022); Zheng et al. (ICLR
2024), for the ArtBench models.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from diffattr.config import ConfigError, Model
from diffattr.diffusion.families import MODEL_FAMILIES, Captions, StableDiffusionLora
from diffattr.diffusion.families import options as checked
from diffattr.diffusion.pipelines import Pipeline

_ADAPTER = "default"
_PROJECTIONS = ["to_q", "to_k", "to_v", "to_out.0"]


class CaptionedUNet(torch.nn.Module):
    """A U-Net with the text embeddings of its captions, (caption, token, dim).

    An image's label is the index of its caption; the last one, label -1, is the empty caption.
    """

    def __init__(self, unet: torch.nn.Module, captions: Tensor):
        super().__init__()
        self.unet: Any = unet
        self.captions: Tensor
        self.register_buffer("captions", captions, persistent=False)

    @property
    def config(self) -> Any:
        """The U-Net's config."""
        return self.unet.config

    @property
    def mid_block(self) -> torch.nn.Module:
        """The U-Net's middle block."""
        return self.unet.mid_block

    def forward(
        self, noised: Tensor, timesteps: Tensor, *, labels: Tensor, return_dict: bool = False
    ) -> tuple[Tensor]:
        """Return the predicted noise (image, channel, height, width)."""
        return self.unet(noised, timesteps, self.captions[labels], return_dict=return_dict)


def network(config: Mapping[str, Any], captions: Captions | None) -> CaptionedUNet:
    """Return the pipeline's U-Net with an untrained LoRA, which has no effect (B = 0).

    Raises:
        ConfigError: the pipeline cannot be read, or its U-Net does not match the config.
    """
    chosen = _options(config)
    unet = _base(chosen, captions)
    return CaptionedUNet(_adapted(unet, chosen), torch.from_numpy(captions))


def _base(chosen: StableDiffusionLora, captions: Captions | None) -> Any:
    """Return the pipeline's U-Net, which must match the config and the captions."""
    if captions is None:
        raise ConfigError("model.family: sd-lora is conditioned on captions, but there are none")
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    unet: Any = Pipeline(chosen.pipeline).checked_component("unet", UNet2DConditionModel)
    # The defaults of `sample_shape` are checked against the pipeline too.
    for key, expected in {"in_channels": 4, "out_channels": 4, **chosen.unet}.items():
        if key in unet.config and _plain(unet.config[key]) != _plain(expected):
            raise ConfigError(
                f"model.config.unet.{key}: found {expected}, the pipeline {chosen.pipeline} has"
                f" {unet.config[key]}"
            )
    if captions.shape[-1] != unet.config["cross_attention_dim"]:
        raise ConfigError(
            f"model.config.pipeline: the text encoder of {chosen.pipeline} has"
            f" {captions.shape[-1]} dimensions, its U-Net expects"
            f" {unet.config['cross_attention_dim']}"
        )
    return unet


def outline(config: Mapping[str, Any]) -> tuple[CaptionedUNet, dict[str, Any]]:
    """Return the network of the config's `unet`, and one label as its conditioning."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    chosen = _options(config)
    unet: Any = UNet2DConditionModel.from_config(chosen.unet)
    captions = torch.empty(1, 77, unet.config["cross_attention_dim"])
    network = CaptionedUNet(_adapted(unet, chosen), captions)
    return network, {"labels": torch.zeros(1, dtype=torch.int64)}


def saved_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config unchanged: a LoRA's files do not describe the network below it."""
    return dict(config)


def pretrained(model: Model, captions: Captions | None) -> tuple[CaptionedUNet, Model]:
    """Return the pipeline's U-Net with a LoRA from a file in diffusers' format."""
    from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin

    chosen = _options(model.config)
    unet, loader = _base(chosen, captions), cast(Any, StableDiffusionLoraLoaderMixin)
    where = f"model.pretrained: the LoRA of {model.pretrained}"
    table = torch.from_numpy(captions)
    with torch.device("meta"):
        expected = CaptionedUNet(_adapted(type(unet).from_config(unet.config), chosen), table)
    try:
        weights, alphas, about = loader.lora_state_dict(
            model.pretrained,
            weight_name=MODEL_FAMILIES[model.family].weights_file,
            use_safetensors=True,
            return_lora_metadata=True,
        )
        unet.load_lora_adapter(
            weights, prefix="unet", network_alphas=alphas, metadata=about, adapter_name=_ADAPTER
        )
    # A file may hold anything, and peft raises nearly anything on a bad one.
    except Exception as error:
        raise ConfigError(
            f"{where} cannot be read ({' '.join(str(error).split())[:200]}); expected a folder with"
            f" the {MODEL_FAMILIES[model.family].weights_file} that save_lora_weights wrote"
        ) from error
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(f".{_ADAPTER}." in name)
    network = CaptionedUNet(unet, table)
    found, wanted = (
        {name: tuple(p.shape) for name, p in one.named_parameters() if p.requires_grad}
        for one in (network, expected)
    )
    # peft initialises weights missing from a file, and ignores those outside the U-Net.
    stored = [name for name in weights if not name.endswith(".alpha")]
    wrong = [name for name, _ in sorted(set(found.items()) ^ set(wanted.items()))]
    wrong += [name for name in stored if not name.startswith("unet.")]
    if not wrong and len(stored) != len(wanted):
        wrong = [f"{len(stored)} weights, expected {len(wanted)}"]
    if wrong:
        raise ConfigError(
            f"{where} does not have rank {chosen.rank} on exactly the q, k, v and output"
            f" projections of all attention layers of the U-Net (found {wrong[0]}); set"
            " model.config.rank, or name another LoRA"
        )
    scales = {m.scaling[_ADAPTER] for m in unet.modules() if _ADAPTER in getattr(m, "scaling", {})}
    if scales != {1.0}:
        raise ConfigError(
            f"{where} is scaled by alpha / rank = {', '.join(map(str, sorted(scales)))}; expected"
            " 1, as in diffusers' training scripts"
        )
    return network, Model(family=model.family, config=model.config)


def _options(config: Mapping[str, Any]) -> StableDiffusionLora:
    found = checked(Model(family="sd-lora", config=dict(config)))
    assert found is not None  # the registry names this type
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _adapted(unet: Any, chosen: StableDiffusionLora) -> Any:
    """Return the U-Net with an untrained LoRA."""
    try:
        from peft import LoraConfig  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError(
            "model.family: sd-lora needs the packages peft and transformers:"
            " pip install -e '.[text-to-image]'"
        ) from error
    unet.requires_grad_(False)
    # Scale alpha / r = 1; A is N(0, 1/r^2) and B zero, as in diffusers' LoRA layers.
    unet.add_adapter(
        LoraConfig(
            r=chosen.rank,
            lora_alpha=chosen.rank,
            init_lora_weights="gaussian",
            target_modules=_PROJECTIONS,
        ),
        adapter_name=_ADAPTER,
    )
    for name, module in unet.named_modules():
        if isinstance(module, torch.nn.Dropout) and "attn" in name:
            module.p = chosen.dropout
    return unet
