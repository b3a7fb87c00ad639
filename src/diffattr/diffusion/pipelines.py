"""What a diffusers pipeline is made of, read from its folder or from the hub.

Weights are safetensors, or what torch reads with `weights_only`; nothing is unpickled.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

from diffattr.config import ConfigError

T = TypeVar("T")


def part(pipeline: str, name: str, kind: type[T]) -> T:
    """Return one component of a pipeline: what lies in its sub-folder `name`, as a `kind`.

    Raises:
        ConfigError: there is no such pipeline, or it has no such part.
    """
    folder = Path(pipeline)
    if folder.is_dir():
        _check_kind(folder)
        if not (folder / name).is_dir():
            raise ConfigError(
                f"model.config.pipeline: {pipeline} has no {name}, which a Stable-Diffusion"
                " pipeline has; complete the folder or name another pipeline"
            )
    loader: Any = kind
    try:
        return loader.from_pretrained(pipeline, subfolder=name)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"model.config.pipeline: the {name} of {pipeline} cannot be read"
            f" ({' '.join(str(error).split())[:200]}); name a folder with a whole pipeline, or"
            " where there is internet its name on the hub"
        ) from error


def _check_kind(folder: Path) -> None:
    """Refuse a folder that is no pipeline of the kind that is supported."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise ConfigError(
            f"model.config.pipeline: {folder} is no diffusers pipeline: it has no model_index.json;"
            " name the folder that save_pretrained wrote"
        )
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"model.config.pipeline: {index} does not say of which kind the pipeline is; write the"
            " folder again with save_pretrained"
        ) from error
    if found != "StableDiffusionPipeline":
        raise ConfigError(
            f"model.config.pipeline: {folder} is a {found}, expected a StableDiffusionPipeline"
        )
