"""The numbers of images, subsets, blocks and shards."""

from dataclasses import dataclass
from functools import cached_property

from diffattr.benchmark.paths import TRAJECTORY
from diffattr.config import Config, ConfigError, SubsetGroup, present
from diffattr.counterfactual.removals import Removal, chosen_queries, is_removal, removals


@dataclass(frozen=True)
class Counts:
    """The sizes that follow from a config."""

    config: Config

    def n_images(self, split: str) -> int:
        """Return the number of images of a split."""
        data, sampling = self.config.data, self.config.sampling
        n_gen = 0 if sampling is None else sampling.n_images
        return {
            "train": data.n_train,
            "val": data.n_val,
            "planted": data.n_planted,
            "gen": n_gen,
            TRAJECTORY: n_gen,
        }[split]

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
        """Return the subsets of one block.

        Raises:
            ConfigError: the group has no such block.
        """
        blocks = self.blocks(group)
        if block not in blocks:
            raise ConfigError(
                f"block {block} of group {group}: does not exist; there are {len(blocks)} blocks of"
                f" {self.config.jobs.models_per_block} models"
            )
        return blocks[block]

    def shards(self, split: str) -> dict[str, tuple[int, int]]:
        """Return the first and one-past-last image of every shard of a split, by its name."""
        size, n = self.config.jobs.images_per_shard, self.n_images(split)
        return {
            f"{number:04d}": (start, min(start + size, n))
            for number, start in enumerate(range(0, n, size))
        }

    def shard(self, split: str, name: str) -> tuple[int, int]:
        """Return the first and one-past-last image of one shard.

        Raises:
            ConfigError: the split has no such shard.
        """
        shards = self.shards(split)
        if name not in shards:
            raise ConfigError(
                f"shard {name} of split {split}: does not exist; there are {len(shards)} shards of"
                f" {self.config.jobs.images_per_shard} images"
            )
        return shards[name]

    @cached_property
    def removals(self) -> list[Removal]:
        """The removals after which models are retrained, empty without a counterfactual."""
        return removals(self.config)

    @cached_property
    def removal_queries(self) -> list[int]:
        """The generated queries that models retrained without some images draw again.

        Raises:
            ConfigError: there is no counterfactual evaluation.
        """
        return chosen_queries(self.config)

    def n_removed(self, fraction: float) -> int:
        """Return the number of training images in a fraction of them."""
        return round(fraction * self.config.data.n_train)
