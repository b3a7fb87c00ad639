"""report.json as types; `schemas/report.schema.json` is made from them (`make schema`).

Pages, figures and tables are made from these values alone, so none of them can show a number that
is not in report.json. Its parts have their types beside the code that computes or gathers them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from diffattr.artifacts import Result, readable
from diffattr.benchmark.methods import Needs
from diffattr.counterfactual.result import CounterfactualResult
from diffattr.evaluation.bootstrap import Interval
from diffattr.evaluation.comparison import VerdictCounts
from diffattr.evaluation.planted import Planted
from diffattr.report.cost import Costs, MethodCost, Origin
from diffattr.report.lds import LdsTable
from diffattr.report.published import Beside
from diffattr.report.queries import QueryGroup
from diffattr.report.sweeps import SweepTable


class Method(Result, frozen=True, rename={"lam": "lambda"}):
    """A method of the config.

    Attributes:
        name: its key in the config.
        method: the registered method, such as `d-trak`.
        needs: what it needs beyond the finished model.
        features: gradient pass and output function, `t100/loss`; null for a method without them.
        gradient_pass: the gradient pass; null for a method without gradients.
        output_function: the scalar whose gradient is the feature; null for a method without one.
        models: the models at which gradients are computed; empty for a method without gradients.
        n_retrained: how many retrained models it learns from; null for other methods.
        gradients_per_image: timesteps x noise draws x models; null for a method without gradients.
        has_lambda: whether it has a regularisation strength lambda.
        lambda: its lambda where the config sets one, in units of the mean squared length of a
            training image's feature; null where LDS selects it (see `lds`) or there is none.
        lambda_by_rule: whether that lambda comes from the built-in rule.
        cost: what it would cost by itself.
    """

    name: str
    method: str
    needs: Needs
    features: str | None
    gradient_pass: str | None
    output_function: str | None
    models: Sequence[str]
    n_retrained: int | None
    gradients_per_image: int | None
    has_lambda: bool
    lam: float | None
    lambda_by_rule: bool
    cost: MethodCost


FEATURE_TOLERANCE = 1e-4
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


class QueryList(Result, frozen=True):
    """Some queries of one split, whose LDS is also reported by itself.

    Attributes:
        split: the split.
        n_queries: how many.
    """

    split: str
    n_queries: int


class Report(Result, frozen=True):
    """Everything that the report says of a benchmark.

    Where nothing is measured (a model that was given, not trained here), `lds`, `controls`,
    `sweeps` and `measured` are empty.

    Attributes:
        name: the benchmark's name.
        config: the whole config.
        model: the pipeline or LoRA that the config names; null where the model is trained here.
        n_train: training images.
        n_subsets: retrained subsets; null where nothing is measured.
        n_seeds: training seeds per subset; null where nothing is measured.
        confidence: level of every interval, 0 to 1; null where nothing is measured.
        methods: the methods that the config names.
        lds: one table per measured split.
        claim: in how many comparisons D-TRAK is higher or lower than TRAK, all splits together.
        published: published numbers beside these; null where the config names none.
        planted: ranks of the copies of planted queries; null where none are planted.
        queries: a few queries of each split with their training images.
        checks: whether features depend on batch size and order, by pass and output function.
        controls: LDS of the random methods, which should not differ from zero.
        measured: further measured quantities.
        query_lists: the lists of queries that the config names, by name.
        sweeps: one table per sweep.
        counterfactual: the counterfactual evaluation; null where the config has none.
        costs: what the artifacts cost, by stage.
        origin: by what and when the artifacts were made.
    """

    name: str
    config: dict[str, Any]
    model: str | None
    n_train: int
    n_subsets: int | None
    n_seeds: int | None
    confidence: float | None
    methods: Sequence[Method]
    lds: Sequence[LdsTable]
    claim: VerdictCounts
    published: Beside | None
    planted: Planted | None
    queries: Sequence[QueryGroup]
    checks: Sequence[FeatureCheck]
    controls: Sequence[Control]
    measured: Sequence[str]
    query_lists: Mapping[str, QueryList]
    sweeps: Sequence[SweepTable]
    counterfactual: CounterfactualResult | None
    costs: Costs
    origin: Origin

    @property
    def is_measured(self) -> bool:
        """Whether the scores were compared with retrained models."""
        return bool(self.lds)

    def ranking(self, split: str) -> list[str]:
        """Return the methods that answer a split, best first; in config order without LDS.

        Planted queries have no LDS; they follow the order of val, whose lambda they use.
        """
        tables = {table.split: table for table in self.lds}
        table = tables.get(split, tables.get("val"))
        ranks = {row.name: rank for rank, row in enumerate(table.methods)} if table else {}
        (group,) = (group for group in self.queries if group.split == split)
        names = [method.name for method in group.queries[0].methods]
        return sorted(names, key=lambda name: ranks.get(name, len(ranks)))


def read(path: str | Path) -> Report:
    """Return a report.json.

    Raises:
        ArtifactError: the file is missing, or is not a report of this version.
    """
    with readable(path, "report"):
        return msgspec.json.decode(Path(path).read_bytes(), type=Report)
