"""Embeddings: images as vectors, without gradients.

An embedding is one small file with a class that has the attributes below, and one line in the
registry. Classes are named by their path, so that the registry can be read without loading torch.
"""

import pkgutil
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from jaxtyping import Float32

from diffattr.config import ConfigError, EmbeddingOptions, NoiseSchedule


class Bottleneck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the U-Net's bottleneck: the number of timesteps averaged."""

    n_timesteps: int


class Clip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of CLIP: open_clip's model name, and its weights (a file, or a name on the Hub)."""

    model: str
    weights: str


@dataclass(frozen=True)
class Registered:
    """The path of an embedding's class, and its options."""

    path: str
    options: type[Bottleneck | Clip]
    needs_network: bool


EMBEDDINGS: dict[str, Registered] = {
    "bottleneck": Registered(
        "diffattr.features.embeddings.bottleneck:BottleneckEmbedding", Bottleneck, True
    ),
    "clip": Registered("diffattr.features.embeddings.clip:ClipEmbedding", Clip, False),
}


@runtime_checkable
class Embedding(Protocol):
    """A map from images to vectors."""

    def __call__(
        self, images: Float32[np.ndarray, "image channel height width"]
    ) -> Float32[np.ndarray, "image dim"]:
        """Return the vectors of images in [-1, 1]."""
        ...


def check(config: EmbeddingOptions, schedule: NoiseSchedule) -> None:
    """Raise a `ConfigError` that starts with the key for wrong options, without loading torch."""
    options = _options(config)
    if isinstance(options, Bottleneck) and not 1 <= options.n_timesteps <= schedule.n_timesteps:
        raise ConfigError(
            f"options.n_timesteps: found {options.n_timesteps}, allowed: 1 to"
            f" {schedule.n_timesteps}, the timesteps of the noise schedule"
        )


def _options(config: EmbeddingOptions) -> Bottleneck | Clip:
    kind = EMBEDDINGS[config.kind].options
    try:
        return msgspec.convert(config.options, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"options: {error} (options of {config.kind}: {known})") from error


def make(config: EmbeddingOptions, **surroundings: Any) -> Embedding:
    """Return the embedding of a config.

    `surroundings` are `network`, `schedule`, `seed`, `batch_size` and `device`; each kind uses what
    it needs.

    Raises:
        ConfigError: the options are wrong, or name something that cannot be loaded.
    """
    return pkgutil.resolve_name(EMBEDDINGS[config.kind].path)(_options(config), **surroundings)
