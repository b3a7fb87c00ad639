"""The gradients that a benchmark computes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.paths import FULL, TRAJECTORY
from diffattr.benchmark.splits import Splits
from diffattr.config import Config, present


@dataclass(frozen=True)
class Passes:
    """The gradient passes that methods read."""

    config: Config
    splits: Splits
    methods: Mapping[str, PlannedMethod]

    @cached_property
    def used(self) -> list[str]:
        """The passes that a method reads; others are not computed."""
        used = {method.gradient_pass for method in self.methods.values()}
        return [name for name in self.config.features if name in used]

    @property
    def output_functions(self) -> list[str]:
        """The output functions of every pass."""
        passes = self.config.features.values()
        return sorted({name for one in passes for name in one.output_functions})

    @cached_property
    def sources(self) -> dict[tuple[str, str, str], int]:
        """The number of gradients per image, by (pass, model, split or trajectory)."""
        wanted: dict[tuple[str, str, str], int] = {}
        for name, method in self.methods.items():
            splits = self.splits.of(name) if name in self.splits.named else self.splits.lds_of(name)
            for model in method.models:
                gradient_pass, _ = method.feature_set
                n_gradients = self.config.features[gradient_pass].n_gradients
                follows = method.method.follows_trajectory
                for split in ("train", *([] if follows else splits)):
                    wanted[gradient_pass, model, split] = n_gradients
                if follows:
                    sampling = present(self.config.sampling, "sampling")
                    wanted[gradient_pass, model, TRAJECTORY] = sampling.n_steps
        # `check_features` recomputes those of the full model.
        for name in self.used:
            wanted.setdefault((name, FULL, "train"), self.config.features[name].n_gradients)
        return wanted
