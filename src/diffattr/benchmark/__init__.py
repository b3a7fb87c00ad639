"""The benchmark that a config describes: its artifacts' paths, its blocks, shards and methods.

Everything here is names and numbers: it loads no torch and reads no artifact, since Snakemake asks
for it at every start.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from diffattr.attribution import METHODS
from diffattr.attribution.base import KernelMethod
from diffattr.config import Config, ConfigError, SubsetGroup
from diffattr.data import DATA_SOURCES
from diffattr.diffusion.models import CONFIG_FILE, MODEL_FAMILIES, WEIGHTS_FILE
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS
from diffattr.features.projectors import check as check_projector
from diffattr.versions import RESULT_VERSION

LDS_SPLITS = ("val", "gen")
"""Query splits with measurements; `planted` would flatter them and has its own table."""


def registries() -> dict[str, list[str]]:
    """Return the names in every registry that the config may use."""
    return {
        "data-sources": sorted(DATA_SOURCES),
        "model-families": sorted(MODEL_FAMILIES),
        "output-functions": sorted(OUTPUT_FUNCTIONS),
        "projectors": sorted(PROJECTORS),
        "methods": sorted(METHODS),
    }


@dataclass(frozen=True)
class Paths:
    """Where each artifact lies. Arguments default to Snakemake's wildcards."""

    root: str

    def __call__(self, *parts: str) -> str:
        """Return a path below the benchmark's own folder."""
        return "/".join([self.root, *parts])

    def indices(self, split: str = "{split}") -> str:
        """Positions of a split's images in the data set (numbers, for gen)."""
        return self("indices", f"{split}.npy")

    def images(self, split: str = "{split}") -> str:
        """Images of a split, float32 (image, channel, height, width) in [-1, 1]."""
        return self("images", f"{split}.npy")

    def labels(self, split: str = "{split}") -> str:
        """Class labels of a split of real images."""
        return self("labels", f"{split}.npy")

    def subset(self, group: str = "{group}", index: int | str = "{subset}") -> str:
        """Sorted positions into train of one subset."""
        return self("subsets", group, f"{index}.npy")

    def network(self, seed: int | str = "{seed}", step: int | str | None = None) -> str:
        """Folder of the full model, or of one of its checkpoints, in diffusers' layout."""
        folder = self("models", "full", f"seed-{seed}")
        return folder if step is None else f"{folder}/checkpoints/{step}"

    def block(
        self, group: str = "{group}", seed: int | str = "{seed}", block: int | str = "{block}"
    ) -> str:
        """The models of one block of subsets, trained with one seed."""
        return self("models", group, f"seed-{seed}", f"block-{block}.safetensors")

    def losses(
        self,
        group: str = "{group}",
        seed: int | str = "{seed}",
        block: int | str = "{block}",
        split: str = "{split}",
    ) -> str:
        """Loss tables (subset, timestep, query) of one block on one split."""
        return self("losses", group, f"seed-{seed}", f"block-{block}", f"{split}.zarr.zip")

    def measurements(self, group: str = "{group}", split: str = "{split}") -> str:
        """Losses of all blocks averaged over timesteps: (seed, subset, query)."""
        return self("measurements", group, f"{split}.zarr.zip")

    def features(
        self,
        gradient_pass: str = "{gradient_pass}",
        split: str = "{split}",
        shard: str = "{shard}",
    ) -> str:
        """One shard of projected gradients at the full model."""
        return self("features", gradient_pass, "full", split, f"{shard}.zarr.zip")

    def kernel(
        self, gradient_pass: str = "{gradient_pass}", output_function: str = "{output_function}"
    ) -> str:
        """The eigendecomposition of a feature set's Gram matrix."""
        return self("kernels", gradient_pass, output_function, "full.zarr.zip")

    def predictions(self, method: str = "{method}", split: str = "{split}") -> str:
        """Sums of scores (lambda, subset, query)."""
        return self("predictions", method, f"{split}.zarr.zip")

    def lds(self, method: str = "{method}", split: str = "{split}") -> str:
        """LDS of one method on one split, with all that belongs to it."""
        return self("lds", method, f"{split}.json")

    def scores(self, method: str = "{method}", split: str = "{split}") -> str:
        """Scores (query, train) at the selected lambda."""
        return self("scores", method, f"{split}.zarr.zip")

    def check(self, gradient_pass: str = "{gradient_pass}") -> str:
        """Whether a pass's features depend on batch size and order."""
        return self("checks", f"{gradient_pass}.json")


@dataclass(frozen=True)
class Benchmark:
    """A config together with what follows from it."""

    config: Config

    def __post_init__(self):
        errors = list(self._errors())
        if errors:
            raise ConfigError("\n".join(errors))

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.config.name

    @cached_property
    def paths(self) -> Paths:
        """Where the artifacts lie."""
        return Paths(f"results/{self.config.name}")

    def group(self, name: str) -> SubsetGroup:
        """Return a group of subsets."""
        return getattr(self.config.subsets, name)

    def n_images(self, split: str) -> int:
        """Return the number of images of a split."""
        data = self.config.data
        return {
            "train": data.n_train,
            "val": data.n_val,
            "planted": data.n_planted,
            "gen": self.config.sampling.n_images,
        }[split]

    @property
    def query_splits(self) -> list[str]:
        """All splits that queries come from."""
        return [*LDS_SPLITS, "planted"] if self.config.data.n_planted else list(LDS_SPLITS)

    def blocks(self, group: str) -> dict[int, list[int]]:
        """Return the subsets of every block; more subsets only add blocks to full ones."""
        size = self.config.jobs.models_per_block
        subsets = range(self.group(group).count)
        starts = range(0, len(subsets), size)
        return {number: list(subsets[s : s + size]) for number, s in enumerate(starts)}

    def shards(self, split: str) -> dict[str, tuple[int, int]]:
        """Return first and one-past-last image of every shard of a split, by its name."""
        size, n = self.config.jobs.images_per_shard, self.n_images(split)
        return {
            f"{number:04d}": (start, min(start + size, n))
            for number, start in enumerate(range(0, n, size))
        }

    @cached_property
    def checkpoint_steps(self) -> list[int]:
        """The steps at which the full model is kept, next to its end."""
        n_steps = self.config.training.n_steps(self.config.data.n_train)
        shares = self.config.full_model.checkpoints
        return sorted({round(share * n_steps) for share in shares} - {n_steps})

    @property
    def checkpoint_files(self) -> list[str]:
        """Every file of the full model's checkpoints."""
        seed = self.config.full_model.seed
        folders = [self.paths.network(seed, step) for step in self.checkpoint_steps]
        return [f"{folder}/{name}" for folder in folders for name in (CONFIG_FILE, WEIGHTS_FILE)]

    @property
    def network_files(self) -> dict[str, str]:
        """The two files of the finished full model."""
        folder = self.paths.network(self.config.full_model.seed)
        return {"network": f"{folder}/{WEIGHTS_FILE}", "network_config": f"{folder}/{CONFIG_FILE}"}

    def feature_set(self, method: str) -> tuple[str, str] | None:
        """Return pass and output function that a method reads, or None."""
        name = self.config.methods[method].features
        if name is None:
            return None
        gradient_pass, _, output_function = name.partition("/")
        return gradient_pass, output_function

    def shard_paths(self, gradient_pass: str, split: str) -> list[str]:
        """Return every shard of one pass and split."""
        return [self.paths.features(gradient_pass, split, shard) for shard in self.shards(split)]

    def has_lambda(self, method: str) -> bool:
        """Return whether a method has a lambda path."""
        return isinstance(METHODS[self.config.methods[method].method], KernelMethod)

    def method_inputs(self, method: str, split: str) -> dict[str, Any]:
        """Return the files that a method's scores for one split are made from."""
        feature_set = self.feature_set(method)
        if feature_set is None:
            return {"train": self.paths.images("train"), "queries": self.paths.images(split)}
        gradient_pass, output_function = feature_set
        inputs: dict[str, Any] = {
            "train": self.shard_paths(gradient_pass, "train"),
            "queries": self.shard_paths(gradient_pass, split),
        }
        if self.has_lambda(method):
            inputs["kernel"] = self.paths.kernel(gradient_pass, output_function)
        return inputs

    def params(self, stage: str, **values: Any) -> str:
        """Return what a job depends on as one canonical text.

        One text, since Snakemake compares params as a set of texts without names; only the values
        that the stage uses, so that nothing else makes it run again.
        """
        used = {"version": RESULT_VERSION[stage], **msgspec.to_builtins(values)}
        return json.dumps(used, sort_keys=True)

    def _errors(self) -> Iterator[str]:
        """Yield what the schema cannot see, one sentence each."""
        config = self.config
        schedule = config.noise_schedule
        if schedule.beta_start > schedule.beta_end:
            yield (
                f"noise_schedule.beta_start: found {schedule.beta_start}, allowed: at most"
                f" beta_end = {schedule.beta_end}"
            )
        if config.data.n_planted >= config.data.n_train:
            yield (
                f"data.n_planted: found {config.data.n_planted}, allowed: less than n_train ="
                f" {config.data.n_train}, of which planted images are a part"
            )
        timesteps = {
            "sampling.n_steps": config.sampling.n_steps,
            "losses.n_timesteps": config.losses.n_timesteps,
            **{
                f"features.{name}.n_timesteps": p.n_timesteps for name, p in config.features.items()
            },
        }
        for key, n in timesteps.items():
            if n > schedule.n_timesteps:
                yield (
                    f"{key}: found {n}, allowed: at most noise_schedule.n_timesteps ="
                    f" {schedule.n_timesteps}"
                )
        for name in ("lds", "retrain"):
            group = self.group(name)
            n = round(group.fraction * config.data.n_train)
            if not 0 < n < config.data.n_train:
                yield (
                    f"subsets.{name}.fraction: found {group.fraction}, which makes subsets of {n}"
                    f" of {config.data.n_train} training images; at least 1 and not all expected"
                )
        if config.subsets.lds.count < 3:
            yield (
                f"subsets.lds.count: found {config.subsets.lds.count}, allowed: at least 3, since"
                " LDS is a rank correlation over subsets"
            )
        for split in LDS_SPLITS:
            if self.n_images(split) < config.lds.folds:
                key = {"val": "data.n_val", "gen": "sampling.n_images"}[split]
                yield (
                    f"lds.folds: found {config.lds.folds}, allowed: at most {key} ="
                    f" {self.n_images(split)}"
                )
        for name, gradient_pass in config.features.items():
            try:
                check_projector(gradient_pass.projector)
            except ConfigError as error:
                yield f"features.{name}.projector.{error}"
        yield from self._method_errors()
        yield from self._model_errors()

    def _method_errors(self) -> Iterator[str]:
        config = self.config
        known = [f"{name}/{f}" for name, p in config.features.items() for f in p.output_functions]
        for name, options in config.methods.items():
            method = METHODS[options.method]
            where = f"methods.{name}.features"
            if method.reads != "features":
                if options.features is not None:
                    yield f"{where}: found {options.features!r}, but {options.method} reads none"
                continue
            if options.features is None:
                yield f"{where}: this key is missing; defined: {', '.join(known)}"
                continue
            if options.features not in known:
                yield f"{where}: found {options.features!r}, defined: {', '.join(known)}"
                continue
            wanted = getattr(method, "output_function", None)
            found = options.features.partition("/")[2]
            if wanted is not None and found != wanted:
                yield f"{where}: found {found}, but method {options.method} is for {wanted}"

    def _model_errors(self) -> Iterator[str]:
        config = self.config
        model, resolution = config.model.config, config.data.resolution
        size = model.get("sample_size")
        if size is not None and size != resolution:
            yield f"model.config.sample_size: found {size}, data.resolution is {resolution}"
        channels = model.get("block_out_channels")
        if isinstance(channels, list) and resolution % 2 ** (len(channels) - 1):
            yield (
                f"model.config.block_out_channels: {len(channels)} levels halve the image"
                f" {len(channels) - 1} times, which {resolution} pixels do not allow"
            )
        blocks = [*model.get("down_block_types", []), *model.get("up_block_types", [])]
        # diffusers puts attention into the middle of a network unless it is told not to.
        attends = model.get("add_attention", True) or any("Attn" in str(name) for name in blocks)
        for found, kind in ((model.get("dropout"), "dropout"), (attends, "attention")):
            if found and config.jobs.models_per_stack > 1:
                yield (
                    f"jobs.models_per_stack: found {config.jobs.models_per_stack}, allowed: 1 for"
                    f" a model with {kind}"
                )
