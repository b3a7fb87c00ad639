"""Which training images are removed for a query, and the group of models trained without them.

The models without a method's top images form a group of subsets of their own, one subset per query,
so that they are trained, block by block, by the rules that train every other group.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int64

from diffattr import rng
from diffattr.artifacts import read_arrays, readable
from diffattr.config import Config, present

Side = Literal["proponents", "opponents"]
SIDES: tuple[Side, ...] = get_args(Side)
PATTERN = r"counterfactual/[a-z0-9-]+/(?:proponents|opponents)-[0-9.]+"
"""Matches the name of every group of removals."""


@dataclass(frozen=True)
class Removal:
    """The share of training images to which one method gives the highest or the lowest scores."""

    method: str
    side: Side
    fraction: float

    @property
    def group(self) -> str:
        """The name of the group of models that are trained without them."""
        # Digits alone: a small fraction would be written with an exponent.
        share = np.format_float_positional(self.fraction, trim="-")
        return f"counterfactual/{self.method}/{self.side}-{share}"

    @classmethod
    def of(cls, group: str) -> "Removal":
        """Return the removal of a group, from its name."""
        _, method, last = group.split("/")
        side, _, fraction = last.partition("-")
        return cls(method, SIDES[SIDES.index(side)], float(fraction))  # pyright: ignore[reportArgumentType]


def is_removal(group: str) -> bool:
    """Return whether a group is one of removals."""
    return re.fullmatch(PATTERN, group) is not None


def removals(config: Config) -> list[Removal]:
    """Return every removal that is retrained; random scores have no opponents."""
    chosen = config.counterfactual
    if chosen is None:
        return []
    return [
        Removal(method, side, fraction)
        for fraction in chosen.retrain
        for method in chosen.methods
        for side in SIDES
        if side == "proponents" or (chosen.opponents and not is_random(config, method))
    ]


def is_random(config: Config, method: str) -> bool:
    """Return whether a method draws its scores at random."""
    return config.methods[method].method == "random"


def chosen_queries(config: Config) -> list[int]:
    """Return the generated queries that are drawn again; more of them keep the first ones."""
    chosen = present(config.counterfactual, "counterfactual")
    n_gen = present(config.sampling, "sampling").n_images
    order = rng.generator(config.seed, "counterfactual-queries").permutation(n_gen)
    return order[: chosen.n_queries].tolist()


def removal_errors(config: Config) -> Iterator[str]:
    """Yield what is wrong with the section `counterfactual`."""
    chosen, n_train = config.counterfactual, config.data.n_train
    if chosen is None:
        return
    n_gen = 0 if config.sampling is None else config.sampling.n_images
    if chosen.n_queries > n_gen:
        yield (
            f"counterfactual.n_queries: found {chosen.n_queries}, allowed: at most"
            f" sampling.n_images = {n_gen}"
        )
    for method in chosen.methods:
        if method not in config.methods:
            yield (
                f"counterfactual.methods: found {method!r}, defined: {', '.join(config.methods)}"
            )
        elif (named := config.methods[method]).method == "file" and "gen" not in named.options:
            yield f"counterfactual.methods: found {method!r}, which has no scores for split gen"
    known = [method for method in chosen.methods if method in config.methods]
    if not any(is_random(config, method) for method in known):
        names = [name for name in config.methods if is_random(config, name)]
        yield (
            "counterfactual.methods: no random method is among them, which every other is held"
            f" against; defined: {', '.join(names) or 'none; add {method: random} under methods'}"
        )
    for fraction in chosen.fractions:
        n = round(fraction * n_train)
        if not 0 < n < n_train:
            yield (
                f"counterfactual.fractions: found {fraction}, which removes {n} of {n_train}"
                " training images; at least 1 and not all expected"
            )
    for fraction in chosen.retrain:
        if fraction not in chosen.fractions:
            yield (
                f"counterfactual.retrain: found {fraction}, which is not one of fractions ="
                f" {list(chosen.fractions)}"
            )
    for name in chosen.embeddings:
        if name not in config.embeddings:
            defined = ", ".join(config.embeddings) or "none; add one under embeddings"
            yield f"counterfactual.embeddings: found {name!r}, defined: {defined}"


def removal_order(
    scores: Float[np.ndarray, "query train"],
) -> dict[Side, Int64[np.ndarray, "query train"]]:
    """Return, per query, the training images by falling scores and by rising ones.

    A removal of any size is the beginning of such an order. Ties go by position.
    """
    return {
        "proponents": np.argsort(-scores, axis=1, kind="stable"),
        "opponents": np.argsort(scores, axis=1, kind="stable"),
    }


def read_orders(
    path: str | Path, queries: Sequence[int], n_train: int
) -> dict[Side, Int64[np.ndarray, "query train"]]:
    """Return, by side, the order in which one method removes all training images, per query.

    Raises:
        ArtifactError: it is of other queries, or not an order of all training images.
    """
    stored = read_arrays(path)
    orders: dict[Side, np.ndarray] = {side: stored[side] for side in SIDES}
    with readable(path, "order of removal"):
        if stored.attribute("queries") != list(queries):
            raise ValueError(f"of queries {stored.attribute('queries')}, expected {list(queries)}")
        every = np.broadcast_to(np.arange(n_train), (len(queries), n_train))
        for side, order in orders.items():
            if order.dtype != np.int64 or not np.array_equal(np.sort(order, axis=-1), every):
                raise ValueError(
                    f"{side} are not all {n_train} training images, each once, for each of"
                    f" {len(queries)} queries"
                )
    return orders
