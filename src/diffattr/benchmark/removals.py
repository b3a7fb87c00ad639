"""What is taken out of the training set for the counterfactual evaluation, and what for.

The models without a method's top images form a group of subsets of their own, one subset per query,
so that they are trained, block by block, by the rules that train every other group.
"""

from collections.abc import Iterator

from diffattr import rng
from diffattr.config import Config, present
from diffattr.data.removals import SIDES, Removal


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
