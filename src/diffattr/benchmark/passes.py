"""The gradients that a benchmark computes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.methods import PlannedMethod
from diffattr.config import Config


@dataclass(frozen=True)
class Passes:
    """The gradient passes that methods read."""

    config: Config
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
