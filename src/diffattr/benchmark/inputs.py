"""Which files each job reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from diffattr.attribution.method import Files, inputs_of
from diffattr.benchmark.counts import Counts, Splits
from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.models import Models
from diffattr.benchmark.paths import TRAJECTORY, Paths
from diffattr.config import Config, ConfigError, present
from diffattr.features.embeddings import EMBEDDINGS


@dataclass(frozen=True)
class Inputs:
    """The input files of jobs, by the names that their scripts use."""

    config: Config
    paths: Paths
    counts: Counts
    splits: Splits
    models: Models
    methods: Mapping[str, PlannedMethod]

    def images(self, split: str) -> str:
        """Return the file of a split's pixels, which are its samples unless these are latents."""
        paths, is_latent = self.paths, self.models.text_conditioned is not None
        return paths.images(split) if is_latent else paths.samples(split)

    def conditioning(self, split: str | None) -> dict[str, str]:
        """Return the captions of a conditioned network, and the labels of a split's images."""
        if self.models.text_conditioned is None:
            return {}
        labels = {} if split is None else {"labels": self.paths.labels(split)}
        return {"captions": self.paths.captions(), **labels}

    def training(self) -> dict[str, str]:
        """Return the training images, their ids and conditioning."""
        training, paths = self.config.training, self.paths
        flips_latents = self.models.text_conditioned and training and training.horizontal_flip
        return {
            "samples": paths.samples("train"),
            "ids": paths.indices("train"),
            **self.conditioning("train"),
            **({"mirrored": paths.mirrored()} if flips_latents else {}),
        }

    def embedding(self, name: str, split: str) -> dict[str, str]:
        """Return the images of a split, and the network for an embedding of its activations."""
        if not EMBEDDINGS[self.config.embeddings[name].kind].needs_network:
            return {"images": self.images(split)}
        images = {"images": self.paths.samples(split)}
        return {**self.models.network_files, **self.conditioning(None), **images}

    def gradients(self, gradient_pass: str, model: str) -> dict[str, str]:
        """Return the files of a pass's model and curvature."""
        curvature = self.config.features[gradient_pass].curvature
        fitted = {} if curvature is None else {"curvature": self.paths.curvature(curvature, model)}
        return {**self.models.files(model), **fitted}

    def shards(self, gradient_pass: str, split: str, model: str) -> list[str]:
        """Return every shard of one pass and split at one model."""
        return [
            self.paths.features(gradient_pass, split, shard, model)
            for shard in self.counts.shards(split)
        ]

    def subsets(self, group: str) -> list[str]:
        """Return the subsets of every block of a group."""
        return [self.paths.subsets(group, block) for block in self.counts.blocks(group)]

    def subsets_of(self, group: str, block: str) -> str:
        """Return the subsets of one block; raises ConfigError if there is no such block."""
        self.counts.members(group, int(block))
        return self.paths.subsets(group, block)

    def losses(self, group: str, split: str) -> list[str]:
        """Return every loss table of a group on one split, one seed after the other."""
        return [
            self.paths.losses(group, seed, block, split)
            for seed in self.counts.group(group).seeds
            for block in self.counts.blocks(group)
        ]

    def lds(self) -> list[str]:
        """Return the LDS of every method; raises ConfigError without measurement."""
        present(self.config.measurement, "measurement")
        return [
            self.paths.lds(method, split)
            for method in self.methods
            for split in self.splits.lds_of(method)
        ]

    def counterfactual(self) -> str:
        """Return the result of the counterfactual evaluation; raises ConfigError without one."""
        present(self.config.counterfactual, "counterfactual")
        return self.paths.counterfactual()

    def outcomes(self) -> list[str]:
        """Return the outcomes of every removal, seed and block."""
        return [
            self.paths.outcomes(removal.group, seed, block)
            for removal in self.counts.removals
            for seed in self.counts.group(removal.group).seeds
            for block in self.counts.blocks(removal.group)
        ]

    def predictions(self, method: str, split: str) -> dict[str, Any]:
        """Return the files of a method's predictions, which are its scores if it has no lambda."""
        if self.methods[method].has_lambda:
            return self.method(method, split)
        return {"scores": self.paths.scores(method, split)}

    def scores(self, method: str, split: str) -> dict[str, Any]:
        """Return the files of a method's scores, including the selected lambda."""
        files = self.method(method, split)
        if self.config.measurement is not None and self.methods[method].has_lambda:
            # Planted queries have no measurements: they use the lambda selected on val.
            measured = "val" if split == "planted" else split
            files["selected"] = self.paths.selected(method, measured)
        return files

    def method(self, method: str, split: str) -> dict[str, str | list[str]]:
        """Return the files from which a method computes its scores for one split.

        A list has all files of the first model, then those of the next.

        Raises:
            ConfigError: the method has no scores for this split.
            PluginError: the method is a plug-in that cannot tell its files.
        """
        planned = self.methods[method]
        if split not in self.splits.of(method):
            raise ConfigError(
                f"methods.{method}: {planned.kind} {planned.method.unanswered(split)}; found split"
                f" {split}, allowed: {', '.join(self.splits.of(method))}"
            )
        return inputs_of(planned.method, split, self._files_of(planned))

    def _files_of(self, planned: PlannedMethod) -> Files:
        paths, follows = self.paths, planned.method.follows_trajectory

        def features(split: str) -> list[str]:
            source = TRAJECTORY if follows and split == "gen" else split
            of_model = partial(self.shards, planned.feature_set[0], source)
            return [shard for model in planned.models for shard in of_model(model)]

        def kernels() -> list[str]:
            gradient_pass, output_function = planned.feature_set
            curvature = self.config.features[gradient_pass].curvature
            if curvature is not None:
                return [paths.curvature(curvature, model) for model in planned.models]
            return [paths.kernel(gradient_pass, output_function, m) for m in planned.models]

        return Files(
            indices=paths.indices,
            samples=paths.samples,
            embedding=lambda split: paths.embedding(planned.embedding or "", split),
            features=features,
            kernels=kernels,
            measurements=lambda split: paths.measurements("retrain", split),
            subsets=lambda: self.subsets("retrain"),
        )
