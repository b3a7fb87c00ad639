"""The components of a diffusers pipeline, read from its folder or from the Hub.

Weights are safetensors, or files that torch reads with `weights_only`; nothing is unpickled.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from diffattr.config import ConfigError, NoiseSchedule, Sampling

PIPELINE_CLASSES = {
    "UNet2DModel": ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline"),
    "UNet2DConditionModel": ("StableDiffusionPipeline",),
}
"""Supported pipeline classes, by the class of their network."""

SAMPLER_KEYS = ("clip_sample", "steps_offset", "set_alpha_to_one")
"""Keys of the section sampling that a pipeline's scheduler sets."""

_INDEX = "model_index.json"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that a config names under `key`, by its folder or its name on the Hub.

    `unet` is the expected class of its network.
    """

    source: str
    unet: str = "UNet2DConditionModel"
    key: str = "model.config.pipeline"

    @property
    def is_local(self) -> bool:
        """Whether the source is a local folder."""
        return Path(self.source).is_dir()

    def component(self, name: str, kind: Any, **options: Any) -> Any:
        """Return the component in the sub-folder `name`, loaded as a `kind`.

        Raises:
            ConfigError: the pipeline or the component does not exist or cannot be read.
        """
        self.check_kind()
        if self.is_local and not (Path(self.source) / name).is_dir():
            raise ConfigError(
                f"{self.key}: {self.source} has no {name}, which a {self._expected} has; complete"
                " the folder or name another pipeline"
            )
        return self._read(name, kind.from_pretrained, subfolder=name, **options)

    def checked_component(self, name: str, kind: Any) -> Any:
        """Return one component, after checking that its files hold exactly its weights.

        The libraries would initialise missing weights randomly. Unexpected weights are accepted in
        text encoders, since old files have them.

        Raises:
            ConfigError: the weights do not match, or the component cannot be read.
        """
        component, info = self.component(name, kind, output_loading_info=True)
        checked = [
            problem for problem in info if (name, problem) != ("text_encoder", "unexpected_keys")
        ]
        if wrong := [weight for problem in checked for weight in info[problem]]:
            raise ConfigError(
                f"{self.key}: the weights of the {name} of {self.source} do not match its config:"
                f" {len(wrong)} are missing, unexpected or of another shape ({wrong[0]}, ...)"
            )
        return component

    def config(self, name: str) -> dict[str, Any]:
        """Return the config of one component, without reading its weights.

        Raises:
            ConfigError: the pipeline or the component does not exist or cannot be read.
        """
        self.check_kind()
        if not self.is_local:
            from diffusers.configuration_utils import ConfigMixin

            mixin: Any = type("_AnyConfig", (ConfigMixin,), {"config_name": _config_file(name)})
            return dict(self._read(name, mixin.load_config, subfolder=name))
        return self._mapping(Path(self.source) / name / _config_file(name))

    def check_kind(self) -> None:
        """Raise a `ConfigError` if the source is not a pipeline of a supported class."""
        index = Path(self.source) / _INDEX
        if not self.is_local:
            from diffusers.pipelines.pipeline_utils import DiffusionPipeline

            content: Any = self._read(_INDEX, DiffusionPipeline.load_config)
        elif index.is_file():
            content = self._mapping(index)
        else:
            raise ConfigError(
                f"{self.key}: {self.source} is not a diffusers pipeline: it has no {_INDEX}; name"
                " the folder that save_pretrained wrote"
            )
        found = content.get("_class_name")
        if not isinstance(found, str):
            raise ConfigError(
                f"{self.key}: {index} does not state the class of the pipeline; write the folder"
                " again with save_pretrained"
            )
        if found not in PIPELINE_CLASSES[self.unet]:
            raise ConfigError(
                f"{self.key}: {self.source} is a {found}, expected a {self._expected}"
            )

    @property
    def _expected(self) -> str:
        return " or ".join(PIPELINE_CLASSES[self.unet])

    def _read(self, name: str, load: Any, **options: Any) -> Any:
        try:
            return load(self.source, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{self.key}: the {name} of {self.source} cannot be read"
                f" ({' '.join(str(error).split())[:200]}); name the folder of a complete pipeline,"
                " or a pipeline on the Hub (needs internet)"
            ) from error

    def _mapping(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.key}: {path} cannot be read ({error}); write the folder again with"
                " save_pretrained"
            ) from error
        if not isinstance(found, dict):
            raise ConfigError(f"{self.key}: {path} is not a mapping; write the folder again")
        return found


def _config_file(name: str) -> str:
    return "scheduler_config.json" if name == "scheduler" else "config.json"


def network_errors(where: str, unet: Mapping[str, Any]) -> Iterator[str]:
    """Yield why the config of an unconditional network is not supported."""
    n_in, n_out = unet.get("in_channels", 3), unet.get("out_channels", 3)
    if n_in != n_out:
        yield (
            f"{where} has {n_in} input and {n_out} output channels; expected as many, since it must"
            " predict only the noise"
        )
    if unet.get("class_embed_type") or unet.get("num_class_embeds"):
        yield f"{where} is conditioned on classes; expected an unconditional network"
    if unet.get("time_embedding_type", "positional") == "fourier":
        yield (
            f"{where} has a random time embedding (fourier), which is not trained; expected"
            " positional"
        )


def size_errors(where: str, unet: Mapping[str, Any], resolution: int) -> Iterator[str]:
    """Yield why the config of an unconditional network does not fit the resolution."""
    size = unet.get("sample_size")
    if size not in (resolution, [resolution, resolution]):
        found = "without a sample_size" if size is None else f"of sample_size {size}"
        yield f"{where} is {found}, data.resolution is {resolution}"


def noise_schedule(scheduler: Mapping[str, Any], key: str) -> NoiseSchedule:
    """Return the noise schedule of a scheduler's config.

    Raises:
        ConfigError: the network does not predict the noise, or the schedule is not supported.
    """
    predicts = scheduler.get("prediction_type", "epsilon")
    if not scheduler.get("predict_epsilon", True):
        predicts = "the image"
    if predicts != "epsilon":
        raise ConfigError(f"{key}: its scheduler predicts {predicts}, expected epsilon (the noise)")
    known = get_args(get_type_hints(NoiseSchedule)["beta_schedule"])
    kind = scheduler.get("beta_schedule")
    changed = scheduler.get("trained_betas") is not None or scheduler.get("rescale_betas_zero_snr")
    if changed or kind not in known:
        raise ConfigError(
            f"{key}: its scheduler has custom betas or the schedule {kind}; expected one of"
            f" {', '.join(known)}"
        )
    found = {
        "n_timesteps": scheduler.get("num_train_timesteps", 1000),
        "beta_schedule": kind,
        "beta_start": scheduler.get("beta_start", 0.0001),
        "beta_end": scheduler.get("beta_end", 0.02),
    }
    try:
        return msgspec.convert(found, NoiseSchedule)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key}: its scheduler's config cannot be used: {error}") from error


def schedule_errors(
    pipeline: Pipeline, schedule: NoiseSchedule, sampling: Sampling | None
) -> Iterator[str]:
    """Yield the differences between the config's noise schedule and sampler and the pipeline's."""
    scheduler = pipeline.config("scheduler")
    found = noise_schedule(scheduler, f"{pipeline.key}: {pipeline.source}")
    pairs = [
        (f"noise_schedule.{name}", getattr(schedule, name), getattr(found, name))
        for name in schedule.__struct_fields__
    ]
    if sampling is not None:
        pairs += [
            (f"sampling.{name}", getattr(sampling, name), scheduler[name])
            for name in SAMPLER_KEYS
            if name in scheduler
        ]
    for key, value, expected in pairs:
        if value != expected:
            yield f"{key}: found {value}, the scheduler of {pipeline.source} has {expected}"


def source_errors(key: str, source: str) -> Iterator[str]:
    """Yield why a source is neither a local folder nor a name on the Hub."""
    if not Path(source).is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", source):
        yield f"{key}: {source} is neither a folder nor a Hub name (owner/name)"
