"""The benchmark that a config describes: its artifacts' paths, its blocks, shards and methods.

Everything here is names and numbers: it loads no torch and reads no artifact, since Snakemake asks
for it at every start.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from diffattr import plugins
from diffattr.attribution import METHODS
from diffattr.benchmark.checks import config_errors
from diffattr.benchmark.methods import PlannedMethod, method_errors, planned_method
from diffattr.benchmark.own_model import as_benchmark, lambda_of, own_model_errors
from diffattr.benchmark.paths import FULL, TRAJECTORY, Paths, checkpoint_model
from diffattr.benchmark.removals import chosen_queries, counterfactual_of, removal_errors, removals
from diffattr.benchmark.sweeps import Cell, expanded
from diffattr.config import PRIMARY, Config, ConfigError, OwnModel, SubsetGroup
from diffattr.data import DATA_SOURCES
from diffattr.data.removals import Removal, is_removal
from diffattr.diffusion.families import MODEL_FAMILIES, SdLora, options, sample_shape
from diffattr.diffusion.models import CONFIG_FILE
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS
from diffattr.versions import RESULT_VERSION

LDS_SPLITS = ("val", "gen")
"""Query splits with measurements; `planted` would flatter them and has its own table."""


_OWN = {
    "data-sources": DATA_SOURCES,
    "embeddings": EMBEDDINGS,
    "model-families": MODEL_FAMILIES,
    "output-functions": OUTPUT_FUNCTIONS,
    "projectors": PROJECTORS,
    "methods": METHODS,
}


def registries() -> dict[str, list[str]]:
    """Return the names in every registry that the config may use, those of plug-ins apart."""
    return {name: sorted(registry) for name, registry in _OWN.items()}


@dataclass(frozen=True)
class Benchmark:
    """A config together with what follows from it.

    `written` is the config as it stands in its file, `config` has the passes and methods of its
    sweeps as well. `own` is there where a model that is trained already is asked about, and then
    `written` is what follows from it: a benchmark that trains and measures nothing.
    """

    written: Config
    own: OwnModel | None = None

    @classmethod
    def of(cls, said: Config | OwnModel) -> "Benchmark":
        """Return what a config describes, of either kind.

        Raises:
            ConfigError: it asks for what cannot be; one line per error.
        """
        return cls(as_benchmark(said), said) if isinstance(said, OwnModel) else cls(said)

    @property
    def said(self) -> Config | OwnModel:
        """The config as it stands in its file."""
        return self.own or self.written

    def __post_init__(self):
        own = [] if self.own is None else own_model_errors(self.own)
        errors = [*own, *config_errors(self.config, measures=self.own is None)]
        errors += removal_errors(self.written)
        for name in self.config.methods:
            errors += method_errors(self.config, name)
        if not errors:
            errors = [
                f"methods: none answers split {split}; add one, such as {{method: random}}"
                for split in self.query_splits
                if split != "planted" and not self.methods_of(split)
            ]
        if errors:
            raise ConfigError("\n".join(errors))

    @property
    def config(self) -> Config:
        """The config with every sweep written out."""
        return self._expanded[0]

    @property
    def cells(self) -> list[Cell]:
        """The cells of every sweep."""
        return self._expanded[1]

    @cached_property
    def _expanded(self) -> tuple[Config, list[Cell]]:
        return expanded(self.written)

    @cached_property
    def named_methods(self) -> list[str]:
        """The methods that the config names, without the cells of sweeps."""
        return list(self.written.methods)

    @cached_property
    def methods(self) -> dict[str, PlannedMethod]:
        """What the methods stand for, by name."""
        return {name: planned_method(self.config, name) for name in self.config.methods}

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.config.name

    @cached_property
    def paths(self) -> Paths:
        """Where the artifacts lie."""
        return Paths(f"results/{self.written.name}")

    def group(self, name: str) -> SubsetGroup:
        """Return a group of subsets; one of removals has a subset per query."""
        if not is_removal(name):
            return getattr(self.config.subsets, name)
        chosen = counterfactual_of(self.config)
        fraction = Removal.of(name).fraction
        return SubsetGroup(count=chosen.n_queries, fraction=1 - fraction, seeds=chosen.seeds)

    @cached_property
    def removals(self) -> list[Removal]:
        """What is taken out of the training set and retrained without."""
        return removals(self.config)

    @cached_property
    def removal_queries(self) -> list[int]:
        """The generated queries that are drawn again by models trained without some images."""
        return chosen_queries(self.config)

    def n_removed(self, fraction: float) -> int:
        """Return how many training images a share of them is."""
        return round(fraction * self.config.data.n_train)

    def n_images(self, split: str) -> int:
        """Return the number of images of a split."""
        data = self.config.data
        return {
            "train": data.n_train,
            "val": data.n_val,
            "planted": data.n_planted,
            "gen": self.config.sampling.n_images,
            TRAJECTORY: self.config.sampling.n_images,
        }[split]

    @property
    def real_splits(self) -> list[str]:
        """The splits whose images are not generated."""
        return ["train", *(split for split in self.query_splits if split != "gen")]

    @property
    def query_splits(self) -> list[str]:
        """All splits that queries come from."""
        return [split for split in (*LDS_SPLITS, "planted") if self.n_images(split)]

    @property
    def lds_splits(self) -> list[str]:
        """The query splits on which LDS is measured."""
        return list(LDS_SPLITS) if self.own is None else []

    def blocks(self, group: str) -> dict[int, list[int]]:
        """Return the subsets of every block; more subsets only add blocks to full ones."""
        size = self.config.jobs.models_per_block
        subsets = range(self.group(group).count)
        starts = range(0, len(subsets), size)
        return {number: list(subsets[s : s + size]) for number, s in enumerate(starts)}

    def members(self, group: str, block: int) -> list[int]:
        """Return the subsets of one block.

        Raises:
            ConfigError: the group has no such block.
        """
        blocks = self.blocks(group)
        if block not in blocks:
            raise ConfigError(
                f"block {block} of group {group}: found none of this number, there are"
                f" {len(blocks)} blocks of {self.config.jobs.models_per_block} models"
            )
        return blocks[block]

    def shards(self, split: str) -> dict[str, tuple[int, int]]:
        """Return first and one-past-last image of every shard of a split, by its name."""
        size, n = self.config.jobs.images_per_shard, self.n_images(split)
        return {
            f"{number:04d}": (start, min(start + size, n))
            for number, start in enumerate(range(0, n, size))
        }

    def shard(self, split: str, name: str) -> tuple[int, int]:
        """Return first and one-past-last image of one shard.

        Raises:
            ConfigError: the split has no such shard.
        """
        shards = self.shards(split)
        if name not in shards:
            raise ConfigError(
                f"shard {name} of split {split}: found none of this name, there are {len(shards)}"
                f" shards of {self.config.jobs.images_per_shard} images"
            )
        return shards[name]

    @cached_property
    def checkpoint_steps(self) -> list[int]:
        """The steps at which the full model is kept, next to its end."""
        config = self.config
        steps = {config.step(share) for share in config.full_model.checkpoints}
        return sorted(steps - {config.n_steps})

    @property
    def checkpoint_files(self) -> list[str]:
        """Every file of the full model's checkpoints."""
        models = [checkpoint_model(step) for step in self.checkpoint_steps]
        return [path for model in models for path in self.model_files(model).values()]

    @property
    def full_seeds(self) -> list[int]:
        """The seeds of which a full model is trained, the one that is asked about first."""
        if self.own is not None:
            return []
        seed = self.config.full_model.seed
        counts = [
            options.ensemble.count
            for options in self.config.methods.values()
            if options.ensemble is not None and options.ensemble.of == "full"
        ]
        return [seed + number for number in range(max(counts, default=1))]

    @property
    def used_passes(self) -> list[str]:
        """The passes that some method reads; others are not taken."""
        used = {method.gradient_pass for method in self.methods.values()}
        return [name for name in self.config.features if name in used]

    @property
    def output_functions(self) -> list[str]:
        """The output functions of every pass."""
        passes = self.config.features.values()
        return sorted({name for taken in passes for name in taken.output_functions})

    @property
    def feature_sources(self) -> dict[tuple[str, str, str], int]:
        """What gradients are taken of: (pass, model, split), with the number of them per image."""
        wanted: dict[tuple[str, str, str], int] = {}
        for name, method in self.methods.items():
            splits = (
                self.splits_of(name) if name in self.named_methods else self.lds_splits_of(name)
            )
            for model in method.models:
                gradient_pass, _ = method.feature_set
                taken = self.config.features[gradient_pass]
                for split in ("train", *([] if method.follows_trajectory else splits)):
                    wanted[gradient_pass, model, split] = taken.n_timesteps * taken.draws
                if method.follows_trajectory:
                    wanted[gradient_pass, model, TRAJECTORY] = self.config.sampling.n_steps
        checked = {(name, FULL, "train") for name in self.used_passes}
        for name, model, split in sorted(checked - set(wanted)):
            taken = self.config.features[name]
            wanted[name, model, split] = taken.n_timesteps * taken.draws
        return wanted

    @property
    def measured(self) -> dict[str, list[str]]:
        """The query splits on which a group's models are evaluated, by group.

        `retrain` models are evaluated where a method learns from them.
        """
        reads = any(method.n_retrained for method in self.methods.values())
        measured = {"lds": self.lds_splits} if self.lds_splits else {}
        return {**measured, **({"retrain": self.query_splits} if reads else {})}

    def with_squares(self, group: str) -> bool:
        """Return whether a group's loss tables hold the mean squares of predictions too."""
        return "mean-squared-l2-norm" in self.quantities(group)

    def quantities(self, group: str) -> list[str]:
        """Return what is measured of a group's models; retraining-based methods read losses."""
        return [PRIMARY, *(self.config.lds.also_measured if group == "lds" else ())]

    @property
    def needed_blocks(self) -> dict[str, list[tuple[int, int]]]:
        """The (seed, block) pairs that are trained, by group."""
        needed = {
            group: [
                (seed, block) for seed in self.group(group).seeds for block in self.blocks(group)
            ]
            for group in self.measured
        }
        if "retrain" not in needed:
            members = {
                self.member(model) for method in self.methods.values() for model in method.models
            }
            size = self.config.jobs.models_per_block
            blocks = sorted({member // size for member in members if member is not None})
            seed = self.group("retrain").seeds[0]
            needed["retrain"] = [(seed, block) for block in blocks]
        for removal in self.removals:
            seeds, blocks = self.group(removal.group).seeds, self.blocks(removal.group)
            needed[removal.group] = [(seed, block) for seed in seeds for block in blocks]
        return needed

    def subset_size(self, group: str) -> int:
        """Return the number of images of a group's subsets."""
        n_train = self.config.data.n_train
        if is_removal(group):
            return n_train - self.n_removed(Removal.of(group).fraction)
        return round(self.group(group).fraction * n_train)

    def model_files(self, model: str) -> dict[str, str]:
        """Return the files of a model by what they are: `network` and its config, or `block`.

        Raises:
            ConfigError: the model is one of more subsets than are retrained.
        """
        full = re.fullmatch(r"full(?:-step-(\d+))?(?:-seed-(\d+))?", model)
        if full:
            step, seed = full.groups()
            return self.full_model_files(seed or self.config.full_model.seed, step)
        subset, seed = map(int, re.findall(r"\d+", model))
        if subset >= (count := self.config.subsets.retrain.count):
            raise ConfigError(
                f"model {model}: found subset {subset}, subsets.retrain.count is {count}; raise it"
            )
        block = subset // self.config.jobs.models_per_block
        return {"block": self.paths.block("retrain", seed, block)}

    def full_model_files(self, seed: int | str, step: str | None = None) -> dict[str, str]:
        """Return the two files of the full model of a seed, or of one of its checkpoints."""
        folder = self.paths.network(seed, step)
        return {
            "network": f"{folder}/{MODEL_FAMILIES[self.config.model.family].weights_file}",
            "network_config": f"{folder}/{CONFIG_FILE}",
        }

    def member(self, model: str) -> int | None:
        """Return which subset of its block a model was trained on, None for a full model."""
        found = re.fullmatch(r"retrain-(\d+)-seed-\d+", model)
        return int(found[1]) if found else None

    def embeds_by_network(self, embedding: str) -> bool:
        """Return whether an embedding is taken from the full model."""
        return EMBEDDINGS[self.config.embeddings[embedding].kind].needs_network

    @cached_property
    def captioned(self) -> SdLora | None:
        """What makes latents and captions, None where networks see pixels and are told nothing."""
        return options(self.config.model)

    @cached_property
    def sample_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the network denoises."""
        return sample_shape(self.config.model, self.config.data.resolution)

    def pictures(self, split: str) -> str:
        """Return the file of a split's pixels, which may not be what the network sees."""
        return self.paths.images(split) if self.captioned is None else self.paths.pictures(split)

    def has_labels(self, split: str) -> bool:
        """Return whether each image of a split has a class."""
        return split != "gen" or self.captioned is not None

    def told(self, split: str | None) -> dict[str, str]:
        """Return the files of what the network is told, and of the labels of a split's images."""
        if self.captioned is None:
            return {}
        labels = {} if split is None else {"labels": self.paths.labels(split)}
        return {"captions": self.paths.captions(), **labels}

    @property
    def network_files(self) -> dict[str, str]:
        """The two files of the finished full model."""
        return self.model_files(FULL)

    def splits_of(self, method: str) -> list[str]:
        """Return the query splits that a method can score."""
        return [split for split in self.query_splits if self.methods[method].answers(split)]

    def lds_splits_of(self, method: str) -> list[str]:
        """Return the query splits on which a method has an LDS."""
        return [split for split in self.splits_of(method) if split in self.lds_splits]

    def scored_splits_of(self, method: str) -> list[str]:
        """Return the splits whose scores are written.

        A sweep's cell has none, unless its predictions are made from them for want of a lambda.
        """
        if method in self.named_methods:
            return self.splits_of(method)
        return [] if self.methods[method].has_lambda else self.lds_splits_of(method)

    def mapped_splits_of(self, method: str) -> list[str]:
        """Return the splits for whose queries a method has maps."""
        is_shown = method in self.named_methods and self.methods[method].noises
        return self.splits_of(method) if is_shown else []

    def methods_of(self, split: str) -> list[str]:
        """Return the methods of the config, sweeps apart, that have scores for a query split."""
        return [name for name in self.named_methods if split in self.splits_of(name)]

    def shard_paths(self, gradient_pass: str, split: str, model: str = FULL) -> list[str]:
        """Return every shard of one pass and split at one model."""
        return [
            self.paths.features(gradient_pass, split, shard, model) for shard in self.shards(split)
        ]

    def method_inputs(self, method: str, split: str) -> dict[str, Any]:
        """Return the files that a method's scores for one split are made from.

        Of several models, the files stand one model after the other.

        Raises:
            ConfigError: the method has no scores for this split.
        """
        if split not in self.splits_of(method):
            why = "has a file of scores for some splits only"
            if self.methods[method].follows_trajectory:
                why = "follows the sampling trajectory, which only generated queries have"
            raise ConfigError(
                f"methods.{method}: {self.methods[method].kind} {why}; found split {split},"
                f" allowed: {', '.join(self.splits_of(method))}"
            )
        planned, paths = self.methods[method], self.paths
        if planned.files:
            return {
                "file": planned.files[split],
                "queries": paths.indices(split),
                "train": paths.indices("train"),
            }
        if planned.method.reads == "losses":
            return {
                "subsets": [paths.subsets("retrain", block) for block in self.blocks("retrain")],
                "measurements": paths.measurements("retrain", split),
                "train": paths.indices("train"),
            }
        if planned.method.reads == "pixels":
            return {"train": paths.images("train"), "queries": paths.images(split)}
        if planned.embedding is not None:
            return {
                "train": paths.embedding(planned.embedding, "train"),
                "queries": paths.embedding(planned.embedding, split),
            }
        gradient_pass, _ = planned.feature_set
        queries = TRAJECTORY if planned.follows_trajectory else split
        sides = {
            side: [
                path
                for model in planned.models
                for path in self.shard_paths(gradient_pass, of, model)
            ]
            for side, of in (("train", "train"), ("queries", queries))
        }
        if planned.solves:
            return {**sides, "kernels": [self._solver(planned, model) for model in planned.models]}
        return sides

    def _solver(self, method: PlannedMethod, model: str) -> str:
        """Return the file that a method solves with: a kernel, or a curvature in its place."""
        gradient_pass, output_function = method.feature_set
        curvature = self.config.features[gradient_pass].curvature
        if curvature is not None:
            return self.paths.curvature(curvature, model)
        return self.paths.kernel(gradient_pass, output_function, model)

    def feature_inputs(self, gradient_pass: str, model: str) -> dict[str, str]:
        """Return the files of the model, and of the curvature, that a pass is taken with."""
        curvature = self.config.features[gradient_pass].curvature
        files = self.model_files(model)
        if curvature is not None:
            files["curvature"] = self.paths.curvature(curvature, model)
        return files

    def method_params(self, method: str) -> dict[str, Any]:
        """Return what a method's scores depend on next to its inputs."""
        planned = self.methods[method]
        return {
            "method": planned.kind,
            "options": self.config.methods[method].options,
            "output_function": planned.output_function,
            "weights": planned.weights,
            "n_retrained": planned.n_retrained,
            **({"noise_schedule": self.config.noise_schedule} if planned.noises else {}),
            **self.plugins("methods", planned.kind),
        }

    def told_lambda(self, method: str) -> dict[str, float]:
        """Return what a job's params say of a method's lambda where it is not chosen by LDS."""
        lam = None if self.own is None else lambda_of(self.own, method)
        return {} if lam is None else {"lambda": lam}

    def plugins(self, registry: str, *names: str) -> dict[str, Any]:
        """Return what a job's params say of the plug-ins among the names that it uses.

        Where there are none, nothing: the params are as they would be without plug-ins.
        """
        own = [name for name in names if name not in _OWN[registry]]
        return {"plugins": {name: plugins.identity(registry, name) for name in own}} if own else {}

    def params(self, stage: str, **values: Any) -> str:
        """Return what a job depends on as one canonical text.

        One text, since Snakemake compares params as a set of texts without names; only the values
        that the stage uses and the config sets, so that nothing else makes it run again.
        """
        values = {key: value for key, value in values.items() if value is not msgspec.UNSET}
        used = {"version": RESULT_VERSION[stage], **msgspec.to_builtins(values)}
        return json.dumps(used, sort_keys=True)
