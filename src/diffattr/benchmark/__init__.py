"""The benchmark that a config describes.

It has names and numbers only, loads no torch and reads no artifact: Snakemake uses it at every
start.
"""

from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.checks import benchmark_errors
from diffattr.benchmark.counts import Counts
from diffattr.benchmark.inputs import Inputs
from diffattr.benchmark.methods import PlannedMethod, planned_method
from diffattr.benchmark.models import Models
from diffattr.benchmark.params import Params
from diffattr.benchmark.passes import Passes
from diffattr.benchmark.paths import LDS_SPLITS, Paths
from diffattr.benchmark.registries import registries
from diffattr.benchmark.splits import Splits
from diffattr.benchmark.sweeps import Cell, expanded
from diffattr.config import (
    Config,
    ConfigError,
    Counterfactual,
    Measurement,
    Sampling,
    Training,
    present,
)


@dataclass(frozen=True)
class Benchmark:
    """A config and what follows from it, in parts.

    `written` is the completed config of a file; `config` has the passes and methods of its sweeps
    as well.

    Raises:
        ConfigError: the config is impossible; one line per error.
    """

    written: Config

    def __post_init__(self):
        errors = list(benchmark_errors(self.config))
        if not errors:
            errors = [
                f"methods: none scores split {split}; add one, such as {{method: random}}"
                for split in self.splits.queries
                if split != "planted" and not self.splits.methods_of(split)
            ]
        if errors:
            raise ConfigError("\n".join(errors))

    @cached_property
    def _expanded(self) -> tuple[Config, list[Cell]]:
        return expanded(self.written)

    @property
    def config(self) -> Config:
        """The config with every sweep expanded."""
        return self._expanded[0]

    @property
    def cells(self) -> list[Cell]:
        """The cells of every sweep."""
        return self._expanded[1]

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.written.name

    @property
    def training(self) -> Training:
        """The section `training`; raises ConfigError if absent, as do the next three."""
        return present(self.config.training, "training")

    @property
    def measurement(self) -> Measurement:
        """The section `measurement`."""
        return present(self.config.measurement, "measurement")

    @property
    def sampling(self) -> Sampling:
        """The section `sampling`."""
        return present(self.config.sampling, "sampling")

    @property
    def counterfactual(self) -> Counterfactual:
        """The section `counterfactual`."""
        return present(self.config.counterfactual, "counterfactual")

    @cached_property
    def paths(self) -> Paths:
        """The paths of the artifacts."""
        return Paths(f"results/{self.name}")

    @cached_property
    def methods(self) -> dict[str, PlannedMethod]:
        """The methods, by name."""
        return {name: planned_method(self.config, name) for name in self.config.methods}

    @cached_property
    def counts(self) -> Counts:
        """The numbers of images, subsets, blocks and shards."""
        return Counts(self.config)

    @cached_property
    def splits(self) -> Splits:
        """The splits, and the methods that score them."""
        return Splits(self.config, self.counts, list(self.written.methods), self.methods)

    @cached_property
    def passes(self) -> Passes:
        """The gradients that are computed."""
        return Passes(self.config, self.methods)

    @cached_property
    def models(self) -> Models:
        """The models that are needed."""
        return Models(self.config, self.paths, self.counts)

    @cached_property
    def inputs(self) -> Inputs:
        """The files that jobs read."""
        return Inputs(self.config, self.paths, self.counts, self.splits, self.models, self.methods)

    @cached_property
    def params(self) -> Params:
        """What jobs depend on in addition to their files."""
        return Params(self.config, self.methods)
