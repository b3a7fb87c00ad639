"""An already trained network: what its pipeline's files say, and what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from diffattr.config import Config, ConfigError, Model, NoiseSchedule, Sampling
from diffattr.diffusion.families import MODEL_FAMILIES, pipeline_of
from diffattr.diffusion.pipelines import (
    SAMPLER_KEYS,
    network_errors,
    noise_schedule,
    schedule_errors,
    size_errors,
    source_errors,
)


def files_of(model: Model) -> list[str]:
    """Return the files on this machine that a network comes from; there are none of the Hub's."""
    folder = Path(model.pretrained or "")
    if MODEL_FAMILIES[model.family].captions:
        return sorted(map(str, folder.glob(MODEL_FAMILIES[model.family].weights_file)))
    return sorted(str(path) for path in (folder / "unet").glob("*") if path.is_file())


def said_by_pipeline(model: Model) -> dict[str, Any]:
    """Return the sections of a config that a pretrained model's pipeline answers.

    `noise_schedule`, the `sampling` of its scheduler and, for a network on pixels, its `config`.

    Raises:
        ConfigError: the pipeline cannot be read, or is of another type than the model's family.
    """
    pipeline = pipeline_of(model)
    for key, source in {"model.pretrained": model.pretrained, pipeline.key: pipeline.source}.items():
        if errors := list(source_errors(key, str(source))):
            raise ConfigError("\n".join(errors))
    family = MODEL_FAMILIES[model.family]
    if family.captions and Path(str(model.pretrained)).is_dir() and not files_of(model):
        raise ConfigError(
            f"model.pretrained: {model.pretrained} holds no {family.weights_file}, the file of a"
            " LoRA"
        )
    pipeline.check_kind()
    scheduler = pipeline.config("scheduler")
    schedule = noise_schedule(scheduler, f"{pipeline.key}: {pipeline.source}")
    said = {
        "noise_schedule": msgspec.to_builtins(schedule),
        "sampling": {key: scheduler[key] for key in SAMPLER_KEYS if key in scheduler},
    }
    if not family.captions:
        said["config"] = pipeline.config("unet")
        # Where it comes from and which version wrote it are not part of the network.
        for key in ("_name_or_path", "_diffusers_version"):
            said["config"].pop(key, None)
        if isinstance(size := said["config"].get("sample_size"), list):
            said["config"]["sample_size"] = size[0]
    return said


def pretrained_errors(config: Config) -> Iterator[str]:
    """Yield what is wrong with a config of a pretrained model."""
    model = config.model
    absent = {
        "training": (config.training, "a pretrained model is not trained here"),
        "measurement": (config.measurement, "it needs section training, to retrain on subsets"),
        "counterfactual": (config.counterfactual, "it needs section training, to retrain"),
        "sweeps": (config.sweeps, "their cells are compared by LDS, which needs measurement"),
        "full_model.checkpoints": (config.full_model.checkpoints, "a pretrained model has none"),
    }
    for key, (found, why) in absent.items():
        if found:
            yield f"{key}: found beside model.pretrained, but {why}; remove it"
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
    """Yield where a pipeline's own configs differ from the benchmark's config.

    Raises:
        ConfigError: they cannot be read, or the pipeline is of another type.
    """
    pipeline = pipeline_of(model)
    pipeline.check_kind()
    yield from schedule_errors(pipeline, schedule, sampling)
    if not MODEL_FAMILIES[model.family].captions:
        unet, where = pipeline.config("unet"), f"{pipeline.key}: the network of {pipeline.source}"
        yield from network_errors(where, unet)
        yield from size_errors(where, unet, resolution)
