"""The models that a benchmark needs, their files and what is measured of them."""

import re
from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.counts import Counts
from diffattr.benchmark.paths import FULL, Paths, checkpoint_model
from diffattr.config import PRIMARY, Config, ConfigError
from diffattr.diffusion.families import MODEL_FAMILIES, StableDiffusionLora, options, sample_shape
from diffattr.diffusion.models import CONFIG_FILE
from diffattr.features.output_functions import tables_of


@dataclass(frozen=True)
class Models:
    """The full model, its checkpoints, further full models and those of subsets."""

    config: Config
    paths: Paths
    counts: Counts

    @cached_property
    def text_conditioned(self) -> StableDiffusionLora | None:
        """The options of a family that works on latents and captions, None for one on pixels."""
        return options(self.config.model)

    @cached_property
    def sample_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the network denoises."""
        return sample_shape(self.config.model, self.config.data.resolution)

    @cached_property
    def checkpoint_steps(self) -> list[int]:
        """The steps at which a checkpoint of the full model is kept, without the last."""
        config = self.config
        steps = {config.step(share) for share in config.full_model.checkpoints}
        return sorted(steps - {config.n_steps})

    @property
    def checkpoint_files(self) -> list[str]:
        """Every file of the full model's checkpoints."""
        models = [checkpoint_model(step) for step in self.checkpoint_steps]
        return [path for model in models for path in self.files(model).values()]

    @property
    def network_files(self) -> dict[str, str]:
        """The two files of the finished full model: `network` and `network_config`."""
        return self.files(FULL)

    def files(self, model: str) -> dict[str, str]:
        """Return the files of a model: `network` and `network_config`, or `block`.

        Raises:
            ConfigError: the model belongs to a subset that is not retrained.
        """
        full = re.fullmatch(r"full(?:-step-(\d+))?(?:-seed-(\d+))?", model)
        if full:
            step, seed = full.groups()
            return self.full(seed or self.config.full_model.seed, step)
        subset, seed = map(int, re.findall(r"\d+", model))
        if subset >= (count := self.counts.group("retrain").count):
            raise ConfigError(
                f"model {model}: found subset {subset}, measurement.subsets.retrain.count is"
                f" {count}; raise it"
            )
        block = subset // self.config.jobs.models_per_block
        return {"block": self.paths.block("retrain", seed, block)}

    def full(self, seed: int | str, step: str | None = None) -> dict[str, str]:
        """Return the files of the full model of a seed, or of one of its checkpoints."""
        folder = self.paths.network(seed, step)
        return {
            "network": f"{folder}/{MODEL_FAMILIES[self.config.model.family].weights_file}",
            "network_config": f"{folder}/{CONFIG_FILE}",
        }

    @staticmethod
    def member(model: str) -> int | None:
        """Return the subset that a model was trained on, None for a full model."""
        found = re.fullmatch(r"retrain-(\d+)-seed-\d+", model)
        return int(found[1]) if found else None

    def evaluated(self, group: str) -> list[str]:
        """Return the output functions that are evaluated at a group's models, one table each."""
        return tables_of(self.quantities(group))

    def quantities(self, group: str) -> list[str]:
        """Return what is measured of a group's models: of group `retrain`, losses alone."""
        if self.config.measurement is None:
            return []
        return [PRIMARY, *(self.config.measurement.lds.also_measured if group == "lds" else ())]
