"""Sanity checks: features that depend on their data alone, and random scores without LDS."""

from collections.abc import Iterator

from diffattr.artifacts import Result
from diffattr.benchmark import Benchmark
from diffattr.evaluation.bootstrap import Interval
from diffattr.evaluation.comparison import verdict
from diffattr.report.files import Inputs

TOLERANCE = 1e-4
"""Largest relative error at which features count as independent of batch size and order: float32
sums over some hundred timesteps in another order differ by up to some 1e-5."""


class FeatureCheck(Result, frozen=True):
    """Whether the features of one gradient pass depend on batch size and order.

    Attributes:
        gradient_pass: the pass.
        output_function: the scalar whose gradients these are.
        n_images: training images whose gradients were computed again.
        largest_relative_error: of |again - stored| / |stored|, the largest over images.
        tolerance: the largest error that passes.
        passed: whether the error is within the tolerance.
    """

    gradient_pass: str
    output_function: str
    n_images: int
    largest_relative_error: float
    tolerance: float
    passed: bool


class Control(Result, frozen=True):
    """The LDS of a random method on one split, which should not differ from zero.

    Attributes:
        split: the split.
        name: the method.
        lds: mean over queries.
        interval: bootstrap over subsets and queries.
        passed: whether the interval contains zero.
    """

    split: str
    name: str
    lds: float
    interval: Interval
    passed: bool


def feature_checks(benchmark: Benchmark, inputs: Inputs) -> Iterator[FeatureCheck]:
    """Yield how far features depend on batch size and order, by pass and output function."""
    for gradient_pass in benchmark.passes.used:
        check = inputs.json("checks", gradient_pass)
        for output_function, error in check["largest_relative_error"].items():
            yield FeatureCheck(
                gradient_pass=gradient_pass,
                output_function=output_function,
                n_images=check["n_images"],
                largest_relative_error=error,
                tolerance=TOLERANCE,
                passed=error <= TOLERANCE,
            )


def control(split: str, name: str, lds: float, interval: Interval) -> Control:
    """Return the check of a random method on one split."""
    passed = verdict(interval) == "undecided"
    return Control(split=split, name=name, lds=lds, interval=interval, passed=passed)
