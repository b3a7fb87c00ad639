"""CLIP's embedding of an image, through open_clip.

Source: Radford et al., "Learning transferable visual models from natural language supervision"
(ICML 2021). Zheng et al. (ICLR 2024) use OpenAI's ViT-B/32, here `model: ViT-B-32` with
`weights: openai`, or the path of a safetensors file where there is no internet. A model that
open_clip does not list can be given as the path of its JSON config.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from diffattr.config import ConfigError
from diffattr.data.image_files import to_picture
from diffattr.diffusion.models import slices
from diffattr.features.embeddings import Clip


class ClipEmbedding:
    """Image embeddings as the model returns them, not scaled to length 1.

    Raises:
        ConfigError: open_clip is not installed, or cannot load the model or its weights.
    """

    def __init__(self, options: Clip, *, batch_size: int, device: str, **_: object):
        try:
            import open_clip  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ConfigError(
                "kind: embedding clip needs the package open_clip: pip install -e '.[clip]';"
                " embedding bottleneck needs no further package"
            ) from error
        name = options.model
        if name.endswith(".json"):
            if not Path(name).is_file():
                raise ConfigError(f"options.model: {name} does not exist")
            open_clip.add_model_config(Path(name))
            name = Path(name).stem
        if name not in open_clip.list_models():
            raise ConfigError(
                f"options.model: open_clip does not know {name!r}; name one of"
                " open_clip.list_models(), or the path of a model's JSON config"
            )
        looks_like_a_file = options.weights.endswith((".safetensors", ".pt", ".bin"))
        if looks_like_a_file and not Path(options.weights).is_file():
            raise ConfigError(f"options.weights: {options.weights} does not exist")
        try:
            self._model, _, self._preprocess = open_clip.create_model_and_transforms(
                name, pretrained=options.weights, device=device
            )
        except Exception as error:
            raise ConfigError(
                f"options.weights: open_clip cannot load {options.weights!r} into"
                f" {options.model}: {' '.join(str(error).split())}; without internet, name a"
                " safetensors file"
            ) from error
        self._model.eval()
        self._batch_size, self._device = batch_size, device

    @torch.inference_mode()
    def __call__(
        self,
        images: Float32[np.ndarray, "image channel height width"]
        | UInt8[np.ndarray, "image channel height width"],
    ) -> Float32[np.ndarray, "image dim"]:
        """Return the embeddings; grey images become three equal channels."""
        embedded = []
        for chosen in slices(len(images), self._batch_size, "embed"):
            pictures = map(to_picture, images[chosen])
            batch = [self._preprocess(picture.convert("RGB")) for picture in pictures]
            found = self._model.encode_image(torch.stack(batch).to(self._device))
            embedded.append(found.float().cpu().numpy())
        return np.concatenate(embedded)
