"""The latents of images, and the text embeddings of captions, for text-to-image networks.

    latent = scaling factor x mode of the VAE's posterior

with the scaling factor of the VAE's config. Source: Rombach et al., "High-resolution image
synthesis with latent diffusion models" (CVPR 2022), section 3 and appendix G.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from diffattr.config import ConfigError
from diffattr.data.image_files import to_uint8
from diffattr.diffusion.models import slices
from diffattr.diffusion.pipelines import Pipeline

_CAPTIONS_AT_ONCE = 64
Latents = Float32[np.ndarray, "image latent_channel latent_height latent_width"]
Images = UInt8[np.ndarray, "image channel height width"]


class Vae:
    """The autoencoder of a pipeline, read from its folder or the Hub unless `vae` is given.

    Raises:
        ConfigError: the pipeline cannot be read.
    """

    def __init__(
        self, pipeline: str, *, vae: Any = None, batch_size: int = 16, device: str = "cpu"
    ):
        if vae is None:
            from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

            vae = Pipeline(pipeline).checked_component("vae", AutoencoderKL)
        self._pipeline, self._batch_size, self._device = pipeline, batch_size, device
        self._vae: Any = vae.eval().to(device)

    @property
    def factor(self) -> int:
        """Pixels per latent position, in each direction."""
        return 2 ** (len(self._vae.config.block_out_channels) - 1)

    @torch.inference_mode()
    def encode(self, images: Images, shape: tuple[int, int, int]) -> Latents:
        """Return the latents of 8-bit images.

        Raises:
            ConfigError: the latents do not have the `shape` that the network expects.
        """
        height, width = images.shape[2:]
        found = (self._vae.config.latent_channels, height // self.factor, width // self.factor)
        if found != shape:
            raise ConfigError(
                f"data.resolution: the VAE of {self._pipeline} turns {height} x {width} pixels into"
                f" latents {' x '.join(map(str, found))}, model.config.unet expects"
                f" {' x '.join(map(str, shape))}; change data.resolution or sample_size"
            )
        encoded = []
        for chosen in slices(len(images), self._batch_size, "encode"):
            batch = torch.tensor(np.ascontiguousarray(images[chosen])).to(self._device)
            mode = self._vae.encode(batch.float() / 127.5 - 1).latent_dist.mode()
            encoded.append((mode * self._vae.config.scaling_factor).cpu().numpy())
        return np.concatenate(encoded)

    @torch.inference_mode()
    def decode(self, latents: Latents) -> Images:
        """Return the 8-bit images of latents."""
        decoded = []
        for chosen in slices(len(latents), self._batch_size, "decode"):
            batch = torch.from_numpy(latents[chosen]).to(self._device)
            images = self._vae.decode(batch / self._vae.config.scaling_factor).sample
            decoded.append(to_uint8(images.cpu().numpy()))
        return np.concatenate(decoded)


def embedded_captions(
    pipeline: str, captions: Sequence[str]
) -> Float32[np.ndarray, "caption token dim"]:
    """Return the text embeddings of captions, padded to the text encoder's full length.

    Raises:
        ConfigError: the pipeline has no text encoder or tokenizer, or transformers is missing.
    """
    try:
        from transformers import (  # pyright: ignore[reportMissingImports]
            CLIPTextModel,
            CLIPTokenizer,
        )
    except ImportError as error:
        raise ConfigError(
            "model.family: captions need the package transformers:"
            " pip install -e '.[text-to-image]'"
        ) from error
    return embedded(
        Pipeline(pipeline).component("tokenizer", CLIPTokenizer),
        Pipeline(pipeline).checked_component("text_encoder", CLIPTextModel),
        captions,
    )


@torch.inference_mode()
def embedded(
    tokenizer: Any, encoder: Any, captions: Sequence[str]
) -> Float32[np.ndarray, "caption token dim"]:
    """Return the text embeddings of captions, padded to the text encoder's full length."""
    batches = []
    for start in range(0, len(captions), _CAPTIONS_AT_ONCE):
        tokens = tokenizer(
            list(captions[start : start + _CAPTIONS_AT_ONCE]),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        embeddings = encoder.eval()(tokens.input_ids.to(encoder.device))[0]
        batches.append(embeddings.float().cpu().numpy())
    return np.concatenate(batches)


def caption(template: str, class_name: str) -> str:
    """Return the caption of a class: `a {} painting` and `Ukiyo_e` give "a ukiyo e painting"."""
    return template.replace("{}", class_name.replace("_", " ").lower())
