"""report.json as types; `schemas/report.schema.json` is made from them (`make schema`).

Pages, figures and tables are made from these values alone, so none of them can show a number that
is not in report.json. Costs, sweeps and published numbers have their types beside the code that
gathers them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from diffattr.artifacts import readable
from diffattr.benchmark.methods import Needs
from diffattr.report.checks import Control, FeatureCheck
from diffattr.report.cost import Costs, MethodCost, Origin
from diffattr.report.counterfactual import Counterfactual
from diffattr.report.part import Interval, Part
from diffattr.report.planted import Planted
from diffattr.report.published import Beside
from diffattr.report.queries import QueryGroup
from diffattr.report.sweeps import SweepTable

Verdict = Literal["higher", "lower", "undecided"]


class Method(Part, frozen=True, rename={"lam": "lambda"}):
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


class Ceiling(Part, frozen=True):
    """What the noise of the measurement allows, each a mean over queries.

    Attributes:
        n_seeds: training seeds per subset.
        repeat: rank correlation over subsets between the measurements of two seeds.
        bound: the highest LDS that a noise-free predictor can expect.
        one_more_retraining: the LDS of predicting by the losses of one more training seed.
    """

    n_seeds: int
    repeat: float
    bound: float
    one_more_retraining: float


class LambdaCurve(Part, frozen=True):
    """LDS along the path of lambda.

    Attributes:
        lambdas: in units of the mean squared length of a training image's feature.
        lds: mean over queries, at each of them.
    """

    lambdas: Sequence[float]
    lds: Sequence[float]


class Selected(Part, frozen=True, rename={"lam": "lambda"}):
    """A lambda that was chosen.

    Attributes:
        lambda: the median over queries of the cross-fitted lambda; null for methods without one.
    """

    lam: float | None


class Oracle(Part, frozen=True, rename={"lam": "lambda"}):
    """The best lambda in hindsight.

    Attributes:
        lambda: that lambda; null for methods without one.
        lds: LDS there, mean over queries.
    """

    lam: float | None
    lds: float


class MeasuredLds(Part, frozen=True):
    """LDS against another measured quantity than the loss.

    Attributes:
        lds: at the lambda that suits this quantity, chosen on other queries.
        interval: bootstrap over subsets and queries.
        selected: that lambda.
        oracle: the best lambda in hindsight.
        bound: the noise ceiling of this quantity; null with one training seed.
    """

    lds: float
    interval: Interval
    selected: Selected
    oracle: Oracle
    bound: float | None


class QueryListLds(Part, frozen=True):
    """LDS over some queries of the split, each at the lambda chosen among all.

    Attributes:
        n_queries: how many.
        lds: mean over them.
        interval: bootstrap over subsets and these queries.
    """

    n_queries: int
    lds: float
    interval: Interval


class Power(Part, frozen=True):
    """LDS of scores transformed to sign(s) |s|^power, or s^2 for `squares`.

    Attributes:
        power: the exponent, or `squares`; 1 stands for the plain scores.
        lds: mean over queries, at the selected lambda.
        interval: bootstrap over subsets and queries.
        difference: LDS minus that of the plain scores.
        difference_interval: paired bootstrap of the difference.
    """

    power: float | str
    lds: float
    interval: Interval
    difference: float
    difference_interval: Interval


class LdsRow(Part, frozen=True):
    """One method on one split.

    Attributes:
        name: the method.
        needs: what it needs beyond the finished model.
        lds: mean over queries, each at its cross-fitted lambda.
        interval: bootstrap over subsets and queries.
        of_bound: `lds` as a share of the ceiling's bound; null without one, or where it is 0.
        selected_lambda: the median cross-fitted lambda; null for methods without one.
        oracle_lambda: the best lambda in hindsight; null for methods without one.
        oracle_lds: LDS there.
        curve: LDS at every lambda; null for methods without one.
        per_query: LDS of each query of the split.
        measured: LDS against further measured quantities, by quantity.
        query_lists: LDS over the lists of queries that the config names, by list.
        audit: LDS of transformed scores, the plain ones first; null where the config asks for none.
    """

    name: str
    needs: Needs
    lds: float
    interval: Interval
    of_bound: float | None
    selected_lambda: float | None
    oracle_lambda: float | None
    oracle_lds: float
    curve: LambdaCurve | None
    per_query: Sequence[float]
    measured: Mapping[str, MeasuredLds]
    query_lists: Mapping[str, QueryListLds]
    audit: Sequence[Power] | None


class Difference(Part, frozen=True):
    """The LDS of one method minus that of another, on one split.

    Attributes:
        method: the first.
        baseline: the second.
        difference: LDS of `method` minus LDS of `baseline`.
        interval: of the paired bootstrap: the same subsets and queries for both.
        verdict: whether the interval lies above zero (`higher`), below it, or contains it.
        confidence_higher: one-sided confidence that the difference is positive, 0 to 1.
    """

    method: str
    baseline: str
    difference: float
    interval: Interval
    verdict: Verdict
    confidence_higher: float


class ClaimedDifference(Difference, frozen=True):
    """A D-TRAK minus a TRAK.

    Attributes:
        passes: the gradient passes of the two.
        oracle_difference: the difference at each one's best lambda in hindsight.
    """

    passes: tuple[str, str]
    oracle_difference: float


class Pairs(Part, frozen=True):
    """Every method against every other; entry [i][j] is about method i minus method j.

    Attributes:
        names: the methods, in the order of rows and columns.
        difference: of their LDS, (method, method).
        confidence_higher: that the difference is positive, 0 to 1, (method, method).
        verdict: of the paired bootstrap, (method, method).
    """

    names: Sequence[str]
    difference: Sequence[Sequence[float]]
    confidence_higher: Sequence[Sequence[float]]
    verdict: Sequence[Sequence[Verdict]]


class LdsTable(Part, frozen=True):
    """The LDS of every method on one split.

    Attributes:
        split: `val` or `gen`.
        n_subsets: retrained subsets.
        n_queries: queries.
        ceiling: what noise allows; null with one training seed per subset.
        methods: best first.
        best: the method with the highest LDS.
        sole_best: by what methods need, the one that is above every other of its group at the
            report's confidence; null where there is no such method.
        pairs: every method against every other.
        to_best: every method but the best against the best.
        d_trak: each D-TRAK against each TRAK at the same models and noise, on as many timesteps or
            more.
    """

    split: str
    n_subsets: int
    n_queries: int
    ceiling: Ceiling | None
    methods: Sequence[LdsRow]
    best: str
    sole_best: Mapping[str, str | None]
    pairs: Pairs
    to_best: Sequence[Difference]
    d_trak: Sequence[ClaimedDifference]


class Claim(Part, frozen=True):
    """How many comparisons of a D-TRAK with a TRAK end how, all splits together.

    Attributes:
        higher: D-TRAK has the higher LDS.
        lower: D-TRAK has the lower LDS.
        undecided: the interval of the difference contains zero.
    """

    higher: int
    lower: int
    undecided: int

    @property
    def total(self) -> int:
        """The number of comparisons."""
        return self.higher + self.lower + self.undecided


class QueryList(Part, frozen=True):
    """Some queries of one split, whose LDS is also reported by itself.

    Attributes:
        split: the split.
        n_queries: how many.
    """

    split: str
    n_queries: int


class Report(Part, frozen=True):
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
        claim: how D-TRAK compares with TRAK.
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
    claim: Claim
    published: Beside | None
    planted: Planted | None
    queries: Sequence[QueryGroup]
    checks: Sequence[FeatureCheck]
    controls: Sequence[Control]
    measured: Sequence[str]
    query_lists: Mapping[str, QueryList]
    sweeps: Sequence[SweepTable]
    counterfactual: Counterfactual | None
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
