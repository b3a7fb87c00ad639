"""What a diffusers pipeline is made of, read from its folder or from the hub.

Weights are safetensors, or what torch reads with `weights_only`; nothing is unpickled.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from diffattr.config import ConfigError, NoiseSchedule, Sampling

T = TypeVar("T")

KINDS = {
    "UNet2DModel": ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline"),
    "UNet2DConditionModel": ("StableDiffusionPipeline",),
}
"""The kinds of pipeline that are understood, by the class of their network."""

SAMPLER_KEYS = ("clip_sample", "steps_offset", "set_alpha_to_one")
"""Keys of the section sampling that a pipeline's scheduler says."""

_INDEX = "model_index.json"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as a config names it.

    Attributes:
        source: its folder, or its name on the hub.
        unet: the class of the network that it should have.
        key: the key of the config that names it.
    """

    source: str
    unet: str = "UNet2DConditionModel"
    key: str = "model.config.pipeline"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return Path(self.source).is_dir()

    def component(self, name: str, kind: type[T], **options: Any) -> Any:
        """Return one component: what lies in the sub-folder `name`, as a `kind`.

        Raises:
            ConfigError: there is no such pipeline, or it has no such part.
        """
        self.check_kind()
        if self.is_local and not (Path(self.source) / name).is_dir():
            raise ConfigError(
                f"{self.key}: {self.source} has no {name}, which a {self._kinds} has; complete the"
                " folder or name another pipeline"
            )
        loader: Any = kind
        return self._read(name, loader.from_pretrained, subfolder=name, **options)

    def checked_component(self, name: str, kind: type[T]) -> T:
        """Return one component with weights, of which the files must hold every one and no other.

        (Of a text encoder old files hold more.) The libraries themselves make up what is missing.

        Raises:
            ConfigError: they do not, or cannot be read.
        """
        made, found = self.component(name, kind, output_loading_info=True)
        judged = [of for of in found if (name, of) != ("text_encoder", "unexpected_keys")]
        if wrong := [weight for of in judged for weight in found[of]]:
            raise ConfigError(
                f"{self.key}: the weights of the {name} of {self.source} are not those of its"
                f" config: {len(wrong)} are missing, foreign or of another shape ({wrong[0]}, ...)"
            )
        return made

    def config(self, name: str) -> dict[str, Any]:
        """Return what the config of one component says, its weights unread.

        Raises:
            ConfigError: there is no such pipeline or component.
        """
        self.check_kind()
        if not self.is_local:
            from diffusers.configuration_utils import ConfigMixin

            mixin: Any = type("_AnyConfig", (ConfigMixin,), {"config_name": _config_file(name)})
            return dict(self._read(name, mixin.load_config, subfolder=name))
        return self._mapping(Path(self.source) / name / _config_file(name))

    def check_kind(self) -> None:
        """Refuse what is no pipeline of a kind that is understood.

        Raises:
            ConfigError: that.
        """
        index = Path(self.source) / _INDEX
        if not self.is_local:
            from diffusers.pipelines.pipeline_utils import DiffusionPipeline

            said: Any = self._read(_INDEX, DiffusionPipeline.load_config)
        elif index.is_file():
            said = self._mapping(index)
        else:
            raise ConfigError(
                f"{self.key}: {self.source} is no diffusers pipeline: it has no {_INDEX}; name the"
                " folder that save_pretrained wrote"
            )
        found = said.get("_class_name")
        if not isinstance(found, str):
            raise ConfigError(
                f"{self.key}: {index} does not say of which kind the pipeline is; write the folder"
                " again with save_pretrained"
            )
        if found not in KINDS[self.unet]:
            raise ConfigError(f"{self.key}: {self.source} is a {found}, expected a {self._kinds}")

    @property
    def _kinds(self) -> str:
        return " or ".join(KINDS[self.unet])

    def _read(self, name: str, load: Any, **options: Any) -> Any:
        try:
            return load(self.source, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{self.key}: the {name} of {self.source} cannot be read"
                f" ({' '.join(str(error).split())[:200]}); name a folder with a whole pipeline, or"
                " where there is internet its name on the hub"
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
            raise ConfigError(f"{self.key}: {path} holds no mapping; write the folder again")
        return found


def _config_file(name: str) -> str:
    return "scheduler_config.json" if name == "scheduler" else "config.json"


def network_errors(where: str, unet: Mapping[str, Any]) -> Iterator[str]:
    """Yield why gradients of an unconditional network, by its config, cannot be taken."""
    n_in, n_out = unet.get("in_channels", 3), unet.get("out_channels", 3)
    if n_in != n_out:
        yield (
            f"{where} takes {n_in} channels and gives {n_out}; one that gives as many, the noise"
            " alone, is expected"
        )
    if unet.get("class_embed_type") or unet.get("num_class_embeds"):
        yield f"{where} is told classes; an unconditional one is expected"
    if unet.get("time_embedding_type", "positional") == "fourier":
        yield (
            f"{where} has a random time embedding (fourier), which is not trained; positional is"
            " expected"
        )


def size_errors(where: str, unet: Mapping[str, Any], resolution: int) -> Iterator[str]:
    """Yield why an unconditional network, by its config, does not take images so wide."""
    size = unet.get("sample_size")
    if size not in (resolution, [resolution, resolution]):
        said = "of no stated size (sample_size)" if size is None else f"of {size} pixels"
        yield f"{where} is for images {said}, data.resolution is {resolution}"


def noise_schedule(scheduler: Mapping[str, Any], key: str) -> NoiseSchedule:
    """Return the noise schedule that a scheduler's config says.

    Raises:
        ConfigError: the network predicts something else than the noise, or the schedule is unknown.
    """
    predicts = scheduler.get("prediction_type", "epsilon")
    if not scheduler.get("predict_epsilon", True):
        predicts = "the image"
    if predicts != "epsilon":
        raise ConfigError(f"{key}: its scheduler predicts {predicts}, expected epsilon, the noise")
    known = get_args(get_type_hints(NoiseSchedule)["beta_schedule"])
    kind = scheduler.get("beta_schedule")
    changed = scheduler.get("trained_betas") is not None or scheduler.get("rescale_betas_zero_snr")
    if changed or kind not in known:
        raise ConfigError(
            f"{key}: its scheduler has betas of its own or the schedule {kind}; expected one of"
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
    """Yield where the config's noise schedule and sampler are not those of the pipeline."""
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
    for key, ours, theirs in pairs:
        if ours != theirs:
            yield f"{key}: found {ours}, the scheduler of {pipeline.source} has {theirs}"


def source_errors(key: str, source: str) -> Iterator[str]:
    """Yield why a text can be neither a folder of this machine nor a name on the hub."""
    if not Path(source).is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", source):
        yield f"{key}: {source} is no folder, nor like a name on the hub (owner/name)"
