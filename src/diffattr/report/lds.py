"""The tables of LDS: every method on every measured split, and every comparison of two."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from diffattr.artifacts import Result
from diffattr.benchmark import Benchmark
from diffattr.benchmark.methods import Needs
from diffattr.evaluation import comparison
from diffattr.evaluation.bootstrap import Interval
from diffattr.evaluation.ceiling import Ceiling
from diffattr.evaluation.comparison import Difference, Pairs
from diffattr.evaluation.powers import PowerAudit
from diffattr.evaluation.result import LambdaCurve, LdsResult, MeasuredLds, QueryListLds
from diffattr.report.files import Inputs


class LdsSummary(Result, frozen=True):
    """The LDS of one method on one split.

    Attributes:
        lds: mean over queries, each at its cross-fitted lambda.
        interval: bootstrap over subsets and queries.
        selected_lambda: the median cross-fitted lambda; null for methods without one.
        oracle_lambda: the best lambda in hindsight; null for methods without one.
        oracle_lds: LDS there.
    """

    lds: float
    interval: Interval
    selected_lambda: float | None
    oracle_lambda: float | None
    oracle_lds: float


class LdsRow(LdsSummary, frozen=True):
    """One method on one split.

    Attributes:
        name: the method.
        needs: what it needs beyond the finished model.
        of_bound: `lds` as a share of the ceiling's bound; null without one, or where it is 0.
        curve: LDS at every lambda; null for methods without one.
        per_query: LDS of each query of the split.
        measured: LDS against further measured quantities, by quantity.
        query_lists: LDS over the lists of queries that the config names, by list.
        audit: LDS of transformed scores, the plain ones first; null where the config asks for none.
    """

    name: str
    needs: Needs
    of_bound: float | None
    curve: LambdaCurve | None
    per_query: Sequence[float]
    measured: Mapping[str, MeasuredLds]
    query_lists: Mapping[str, QueryListLds]
    audit: Sequence[PowerAudit] | None


class ClaimedDifference(Difference, frozen=True):
    """A D-TRAK minus a TRAK.

    Attributes:
        passes: the gradient passes of the two.
        oracle_difference: the difference at each one's best lambda in hindsight.
    """

    passes: tuple[str, str]
    oracle_difference: float


class LdsTable(Result, frozen=True):
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


def lds_table(
    benchmark: Benchmark, inputs: Inputs, split: str, results: Mapping[str, LdsResult]
) -> LdsTable:
    """Return one split's table, best method first, with its comparisons.

    `results` are by method; the cells of sweeps among them are left out.
    """
    named = benchmark.splits.methods_of(split)
    ranking = sorted(named, key=lambda name: (-results[name].lds, name))
    best, first = ranking[0], results[ranking[0]]
    methods, confidence = benchmark.methods, benchmark.measurement.lds.confidence

    def compared(method: str, baseline: str) -> Difference:
        return comparison.difference(results, method, baseline, confidence)

    return LdsTable(
        split=split,
        n_subsets=first.n_subsets,
        n_queries=first.n_queries,
        ceiling=first.ceiling,
        methods=[_row(benchmark, inputs, name, split, results[name]) for name in ranking],
        best=best,
        sole_best={
            needs: comparison.sole_best(
                results, [name for name in ranking if methods[name].needs == needs], confidence
            )
            for needs in dict.fromkeys(methods[name].needs for name in ranking)
        },
        pairs=comparison.pairs(results, ranking, confidence),
        to_best=[compared(name, best) for name in ranking[1:]],
        d_trak=[
            ClaimedDifference(
                **msgspec.structs.asdict(compared(d_trak, trak)),
                passes=(methods[d_trak].feature_set[0], methods[trak].feature_set[0]),
                oracle_difference=results[d_trak].oracle.lds - results[trak].oracle.lds,
            )
            for d_trak, trak in d_trak_pairs(benchmark)
        ],
    )


def summary(found: LdsResult) -> dict[str, Any]:
    """Return the fields of an `LdsSummary`."""
    return {
        "lds": found.lds,
        "interval": found.interval.both,
        "selected_lambda": found.selected.lam,
        "oracle_lambda": found.oracle.lam,
        "oracle_lds": found.oracle.lds,
    }


def _row(benchmark: Benchmark, inputs: Inputs, name: str, split: str, found: LdsResult) -> LdsRow:
    audited = (name, split) in inputs.files["audits"]
    return LdsRow(
        **summary(found),
        name=name,
        needs=benchmark.methods[name].needs,
        of_bound=found.of_bound,
        curve=found.curve if benchmark.methods[name].has_lambda else None,
        per_query=found.per_query,
        measured=found.measured,
        query_lists=found.query_lists,
        audit=inputs.struct(list[PowerAudit], "audits", name, split) if audited else None,
    )


def d_trak_pairs(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    """Yield each D-TRAK with each TRAK at the same models and noise, on as many timesteps or more.

    The paper's claims: D-TRAK is better on the same pass, and with 10 timesteps than TRAK with 100.
    """
    named = benchmark.splits.named
    for d_trak, trak in itertools.product(named, named):
        ours, theirs = benchmark.methods[d_trak], benchmark.methods[trak]
        if (ours.kind, theirs.kind) == ("d-trak", "trak") and ours.models == theirs.models:
            short, long = (benchmark.config.features[m.feature_set[0]] for m in (ours, theirs))
            same = msgspec.structs.replace(
                long, n_timesteps=short.n_timesteps, output_functions=short.output_functions
            )
            if short == same and short.n_timesteps <= long.n_timesteps:
                yield d_trak, trak
