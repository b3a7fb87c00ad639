"""The numbers of images, subsets, blocks and shards, and the splits of images and of scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.paths import LDS_SPLITS, TRAJECTORY
from diffattr.config import Config, ConfigError, SubsetGroup, present
from diffattr.counterfactual.removals import Removal, chosen_queries, is_removal, removals


@dataclass(frozen=True)
class Counts:
    """The sizes that follow from a config."""

    config: Config

    def n_images(self, split: str) -> int:
        """Return the number of images of a split."""
        data, sampling = self.config.data, self.config.sampling
        if split in ("gen", TRAJECTORY):
            return 0 if sampling is None else sampling.n_images
        return {"train": data.n_train, "val": data.n_val, "planted": data.n_planted}[split]

    def group(self, name: str) -> SubsetGroup:
        """Return a group of subsets; a group of removals has a subset per query.

        Raises:
            ConfigError: the config has no section that this group belongs to.
        """
        if not is_removal(name):
            return getattr(present(self.config.measurement, "measurement").subsets, name)
        chosen = present(self.config.counterfactual, "counterfactual")
        fraction = Removal.of(name).fraction
        return SubsetGroup(count=chosen.n_queries, fraction=1 - fraction, seeds=chosen.seeds)

    def subset_size(self, group: str) -> int:
        """Return the number of images of a group's subsets."""
        n_train = self.config.data.n_train
        if is_removal(group):
            return n_train - self.n_removed(Removal.of(group).fraction)
        return round(self.group(group).fraction * n_train)

    def blocks(self, group: str) -> dict[int, list[int]]:
        """Return the subsets of every block; full blocks stay the same when subsets are added."""
        size = self.config.jobs.models_per_block
        subsets = range(self.group(group).count)
        starts = range(0, len(subsets), size)
        return {number: list(subsets[s : s + size]) for number, s in enumerate(starts)}

    def members(self, group: str, block: int) -> list[int]:
        """Return the subsets of one block; raises ConfigError if the group has no such block."""
        size = self.config.jobs.models_per_block
        subsets = range(self.group(group).count)[block * size : (block + 1) * size]
        if not subsets:
            raise ConfigError(
                f"block {block} of group {group}: does not exist; there are"
                f" {len(self.blocks(group))} blocks of {size} models"
            )
        return list(subsets)

    def shards(self, split: str) -> dict[str, tuple[int, int]]:
        """Return the first and one-past-last image of every shard of a split, by its name."""
        size, n = self.config.jobs.images_per_shard, self.n_images(split)
        starts = enumerate(range(0, n, size))
        return {f"{number:04d}": (start, min(start + size, n)) for number, start in starts}

    def shard(self, split: str, name: str) -> tuple[int, int]:
        """Return the bounds of one shard; raises ConfigError if the split has no such shard."""
        shards, size = self.shards(split), self.config.jobs.images_per_shard
        if name not in shards:
            raise ConfigError(
                f"shard {name} of split {split}: does not exist; there are {len(shards)} shards of"
                f" {size} images"
            )
        return shards[name]

    @cached_property
    def removals(self) -> list[Removal]:
        """The removals after which models are retrained, empty without a counterfactual."""
        return removals(self.config)

    @cached_property
    def removal_queries(self) -> list[int]:
        """The queries that models retrained without some images draw again."""
        return chosen_queries(self.config)

    def n_removed(self, fraction: float) -> int:
        """Return the number of training images in a fraction of them."""
        return round(fraction * self.config.data.n_train)


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

    def methods_of(self, split: str) -> list[str]:
        """Return the methods, without cells of sweeps, that score a query split."""
        return [name for name in self.named if split in self.of(name)]
