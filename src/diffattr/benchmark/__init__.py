"""The benchmark that a config describes.

It has names and numbers only, loads no torch and reads no artifact: Snakemake uses it at every
start.
"""

from diffattr.benchmark.checks import benchmark_errors
from diffattr.benchmark.counts import Counts, Splits
from diffattr.benchmark.inputs import Inputs
from diffattr.benchmark.methods import planned_method
from diffattr.benchmark.models import Models
from diffattr.benchmark.params import Params
from diffattr.benchmark.paths import Paths
from diffattr.benchmark.sweeps import expanded
from diffattr.config import (
    Config,
    Counterfactual,
    Measurement,
    Sampling,
    Training,
    present,
    refuse,
)


class Benchmark:
    """A config and what follows from it, in parts.

    `written` is the completed config of a file; `config` has the passes and methods of its sweeps
    as well, whose `cells` are listed. `passes` are those that a method reads: others are not
    computed.

    Raises:
        ConfigError: the config is impossible; one line per error.
    """

    def __init__(self, written: Config):
        self.written, self.name = written, written.name
        self.config, self.cells = expanded(written)
        config = self.config
        refuse(benchmark_errors(config))
        self.paths = Paths(f"results/{self.name}")
        self.methods = {name: planned_method(config, name) for name in config.methods}
        used = {method.gradient_pass for method in self.methods.values()}
        self.passes = [name for name in config.features if name in used]
        self.counts = Counts(config)
        self.splits = Splits(config, self.counts, list(written.methods), self.methods)
        self.models = Models(config, self.paths, self.counts)
        self.inputs = Inputs(
            config, self.paths, self.counts, self.splits, self.models, self.methods
        )
        self.params = Params(config, self.methods)
        refuse(
            f"methods: none scores split {split}; add one, such as {{method: random}}"
            for split in self.splits.queries
            if split != "planted" and not self.splits.methods_of(split)
        )

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
