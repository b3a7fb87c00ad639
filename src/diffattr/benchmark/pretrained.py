"""A pretrained network: the values in its pipeline's files, and what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from diffattr.config import Config, ConfigError, Model, NoiseSchedule, Sampling, refuse
from diffattr.diffusion.families import MODEL_FAMILIES, pipeline_of
from diffattr.diffusion.pipelines import (
    SAMPLER_KEYS,
    Pipeline,
    network_errors,
    noise_schedule,
    schedule_errors,
    size_errors,
    source_errors,
)


def files_of(model: Model) -> list[str]:
    """Return the local files of a pretrained network; none for a pipeline of the Hub.

    Raises:
        ConfigError: a folder has no LoRA.
    """
    folder = Path(model.pretrained or "")
    family = MODEL_FAMILIES[model.family]
    if family.text_conditioned:
        found = sorted(map(str, folder.glob(family.weights_file)))
        if folder.is_dir() and not found:
            raise ConfigError(
                f"model.pretrained: {folder} has no {family.weights_file}, the file of a LoRA"
            )
        return found
    return sorted(str(path) for path in (folder / "unet").glob("*") if path.is_file())


def adapter_config(model: Model) -> dict[str, Any]:
    """Return the config of a family that adapts a pipeline, completed from the pipeline's files.

    `unet` is the content of unet/config.json, `rank` that of a pretrained model's LoRA.

    Raises:
        ConfigError: a file cannot be read.
    """
    config, family = dict(model.config), MODEL_FAMILIES[model.family]
    if "unet" not in config and isinstance(config.get("pipeline"), str):
        config["unet"] = _network(Pipeline(config["pipeline"], family.unet))
    if "rank" not in config and model.pretrained is not None:
        for path in files_of(model):
            config["rank"] = _rank(path)
    return config


def _rank(path: str) -> int:
    """Return the rank of the LoRA in a file, by the shapes in its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"model.pretrained: {path} cannot be read: {error}") from error
    ranks = [shape[0] for name, shape in shapes.items() if "lora_A" in name or "lora.down" in name]
    if not ranks:
        raise ConfigError(f"model.pretrained: {path} has no LoRA; expected weights lora_A, lora_B")
    return ranks[0]


def _network(pipeline: Pipeline) -> dict[str, Any]:
    """Return the config of a pipeline's network."""
    config = pipeline.config("unet")
    # Its origin and the version that wrote it are not part of the network.
    for key in ("_name_or_path", "_diffusers_version"):
        config.pop(key, None)
    if isinstance(size := config.get("sample_size"), list):
        config["sample_size"] = size[0]
    return config


def pipeline_values(model: Model) -> dict[str, Any]:
    """Return the values in the files of a pretrained model.

    They are `noise_schedule`, the scheduler's `sampling`, the network's `config` and the images'
    `resolution`, None where it is not stated.

    Raises:
        ConfigError: they cannot be read, or the pipeline is of another type than the family.
    """
    family = MODEL_FAMILIES[model.family]
    pipeline = pipeline_of(model)
    sources = {"model.pretrained": model.pretrained, pipeline.key: pipeline.source}
    for key, source in sources.items():
        refuse(source_errors(key, str(source)))
    files_of(model)  # refuses a folder without a LoRA before the pipeline is read
    scheduler = pipeline.config("scheduler")
    schedule = noise_schedule(scheduler, f"{pipeline.key}: {pipeline.source}")
    config = model.config if family.text_conditioned else _network(pipeline)
    unet = config["unet"] if family.text_conditioned else config
    resolution = unet.get("sample_size")
    if family.text_conditioned and resolution is not None:
        # Every level of the VAE except the last halves the image.
        resolution *= 2 ** (len(pipeline.config("vae").get("block_out_channels", [0])) - 1)
    return {
        "noise_schedule": msgspec.to_builtins(schedule),
        "sampling": {key: scheduler[key] for key in SAMPLER_KEYS if key in scheduler},
        "config": config,
        "resolution": resolution,
    }


def pretrained_errors(config: Config) -> Iterator[str]:
    """Yield what is wrong with a config of a pretrained model."""
    model = config.model
    absent = {
        "training": (config.training, "a pretrained model is not trained here"),
        "measurement": (config.measurement, "it retrains on subsets, which needs training"),
        "counterfactual": (config.counterfactual, "it retrains, which needs training"),
        "sweeps": (config.sweeps, "cells are compared by LDS, which needs measurement"),
        "full_model.checkpoints": (config.full_model.checkpoints, "a pretrained model has none"),
    }
    for key, (found, why) in absent.items():
        if found:
            yield f"{key}: found with model.pretrained, but {why}; remove it"
    try:
        if pipeline_of(model).is_local:
            yield from pipeline_errors(
                model, config.noise_schedule, config.sampling, config.data.resolution
            )
    except ConfigError as error:
        yield str(error)


def pipeline_errors(
    model: Model, schedule: NoiseSchedule, sampling: Sampling | None, resolution: int
) -> Iterator[str]:
    """Yield where a pipeline's configs differ from the benchmark's config.

    Raises:
        ConfigError: they cannot be read, or the pipeline is of another type.
    """
    pipeline = pipeline_of(model)
    yield from schedule_errors(pipeline, schedule, sampling)
    if not MODEL_FAMILIES[model.family].text_conditioned:
        unet, where = pipeline.config("unet"), f"{pipeline.key}: the network of {pipeline.source}"
        yield from network_errors(where, unet)
        yield from size_errors(where, unet, resolution)
