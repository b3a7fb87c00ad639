"""The splits of a benchmark, and the methods that score them."""

from collections.abc import Mapping
from dataclasses import dataclass

from diffattr.benchmark.counts import Counts
from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.paths import LDS_SPLITS
from diffattr.config import Config


@dataclass(frozen=True)
class Splits:
    """Splits of images and of scores.

    `named` are the methods of the config without the cells of sweeps; `methods` has both.
    """

    config: Config
    counts: Counts
    named: list[str]
    methods: Mapping[str, PlannedMethod]

    @property
    def queries(self) -> list[str]:
        """The splits of queries."""
        return [split for split in (*LDS_SPLITS, "planted") if self.counts.n_images(split)]

    @property
    def real(self) -> list[str]:
        """The splits whose images are not generated."""
        return ["train", *(split for split in self.queries if split != "gen")]

    @property
    def lds(self) -> list[str]:
        """The query splits on which LDS is measured; empty without measurement."""
        return [] if self.config.measurement is None else list(LDS_SPLITS)

    def of(self, method: str) -> list[str]:
        """Return the query splits that a method can score."""
        chosen = self.methods[method].method
        return [split for split in self.queries if chosen.unanswered(split) is None]

    def lds_of(self, method: str) -> list[str]:
        """Return the query splits on which a method has an LDS."""
        return [split for split in self.of(method) if split in self.lds]

    def mapped_of(self, method: str) -> list[str]:
        """Return the query splits for which a method has maps."""
        is_shown = method in self.named and self.methods[method].method.has_maps
        return self.of(method) if is_shown else []

    def methods_of(self, split: str) -> list[str]:
        """Return the methods, without cells of sweeps, that score a query split."""
        return [name for name in self.named if split in self.of(name)]
