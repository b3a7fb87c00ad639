"""The counterfactual evaluation as the report has it."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from jaxtyping import Float32, UInt8

from diffattr.benchmark import Benchmark
from diffattr.counterfactual.removals import Side
from diffattr.report.files import Inputs
from diffattr.report.part import Interval, Part


class VersusRandom(Part, frozen=True):
    """A measure after a removal minus that after removing as many images at random, per query.

    Attributes:
        difference: mean over queries.
        median_difference: median over queries.
        interval: of the mean, bootstrap over queries.
        n_higher: queries on which the measure is above that of the random removal.
        n_lower: queries on which it is below.
        sign_test_p: two-sided p-value of a sign test on these two counts.
    """

    difference: float
    median_difference: float
    interval: Interval
    n_higher: int
    n_lower: int
    sign_test_p: float


class Measure(Part, frozen=True):
    """One measure of how far queries moved, mean over training seeds.

    Attributes:
        per_query: the value of each query, in the order of `queries`.
        mean: over queries.
        median: over queries.
        interval: of the mean, bootstrap over queries.
        versus_random: the paired comparison with the random method; null for that method.
    """

    per_query: Sequence[float]
    mean: float
    median: float
    interval: Interval
    versus_random: VersusRandom | None


class RemovalRow(Part, frozen=True):
    """What retraining without some training images did.

    Attributes:
        method: the method that named the images.
        side: whether they have its highest scores (`proponents`) or its lowest.
        fraction: the removed share of the training set.
        measures: by name: `pixel-l2`, `loss-change`, `<embedding>-cosine`.
    """

    method: str
    side: Side
    fraction: float
    measures: Mapping[str, Measure]


class Overlap(Part, frozen=True):
    """How many images two methods' lists of proponents share.

    Attributes:
        fraction: length of the lists as a share of the training set.
        first: one method.
        second: the other.
        jaccard: |A and B| / |A or B|, mean over queries.
        chance: what two random lists of this length share on average.
    """

    fraction: float
    first: str
    second: str
    jaccard: float
    chance: float


class Counterfactual(Part, frozen=True):
    """Generated queries, drawn again by models trained without the images that methods name.

    Attributes:
        queries: positions of the chosen queries in split `gen`.
        n_train: training images.
        seeds: training seeds of the retrained models.
        removals: one row per method, side and retrained fraction.
        overlaps: one row per pair of methods and fraction.
    """

    queries: Sequence[int]
    n_train: int
    seeds: Sequence[int]
    removals: Sequence[RemovalRow]
    overlaps: Sequence[Overlap]


def counterfactual_of(benchmark: Benchmark, inputs: Inputs) -> Counterfactual | None:
    """Return the result of the counterfactual evaluation, None where the config has none."""
    if not benchmark.counts.removals:
        return None
    return msgspec.convert(inputs.json("counterfactual"), Counterfactual)


def redrawn_images(
    benchmark: Benchmark, inputs: Inputs
) -> dict[str, Float32[np.ndarray, "query c h w"] | UInt8[np.ndarray, "query c h w"]]:
    """Return the chosen queries redrawn after each removal, with the first training seed.

    Keys are `redrawn-0`, `redrawn-1`, ... in the order of the benchmark's removals.
    """
    name = "images" if benchmark.models.text_conditioned is None else "pictures"
    return {
        f"redrawn-{number}": np.concatenate(
            [
                inputs.arrays("outcomes", removal.group, block)[name]
                for block in benchmark.counts.blocks(removal.group)
            ]
        )
        for number, removal in enumerate(benchmark.counts.removals)
    }
