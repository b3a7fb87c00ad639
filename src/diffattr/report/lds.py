"""The tables of LDS: every method on every measured split, and every comparison of two."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from diffattr.benchmark import Benchmark
from diffattr.benchmark.methods import PlannedMethod
from diffattr.report import comparison
from diffattr.report.files import Inputs
from diffattr.report.structs import (
    Ceiling,
    Claim,
    ClaimedDifference,
    Difference,
    LdsRow,
    LdsTable,
    Pairs,
)

Results = Mapping[str, Mapping[str, Any]]
"""The LDS artifact of every method on one split."""


def lds_table(benchmark: Benchmark, inputs: Inputs, split: str, results: Results) -> LdsTable:
    """Return one split's table, best method first, with its comparisons.

    `results` are those of the methods that the config names, without the cells of sweeps.
    """
    ranking = sorted(results, key=lambda name: (-results[name]["lds"], name))
    best, first = ranking[0], results[ranking[0]]
    confidence = benchmark.config.lds.confidence

    def compared(method: str, baseline: str) -> dict[str, Any]:
        return comparison.difference(results, method, baseline, confidence)

    return LdsTable(
        split=split,
        n_subsets=first["n_subsets"],
        n_queries=first["n_queries"],
        ceiling=msgspec.convert(first["ceiling"], Ceiling | None),
        methods=[_row(benchmark, inputs, name, split, results[name]) for name in ranking],
        best=best,
        sole_best={
            needs: comparison.sole_best(results, names, confidence)
            for needs, names in _by_needs(benchmark, ranking).items()
        },
        pairs=msgspec.convert(comparison.pairs(results, ranking, confidence), Pairs),
        to_best=[msgspec.convert(compared(name, best), Difference) for name in ranking[1:]],
        d_trak=[
            msgspec.convert(
                {
                    **compared(d_trak.name, trak.name),
                    "passes": [d_trak.feature_set[0], trak.feature_set[0]],
                    "oracle_difference": results[d_trak.name]["oracle"]["lds"]
                    - results[trak.name]["oracle"]["lds"],
                },
                ClaimedDifference,
            )
            for d_trak, trak in _d_trak_pairs(benchmark)
        ],
    )


def claim(tables: Iterable[LdsTable]) -> Claim:
    """Return in how many comparisons D-TRAK is higher than TRAK, lower, or neither."""
    verdicts = [pair.verdict for table in tables for pair in table.d_trak]
    return Claim(
        higher=verdicts.count("higher"),
        lower=verdicts.count("lower"),
        undecided=verdicts.count("undecided"),
    )


def _by_needs(benchmark: Benchmark, names: Iterable[str]) -> dict[str, list[str]]:
    """Return methods by what they need, in the order of `names`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(benchmark.methods[name].needs, []).append(name)
    return groups


def _row(
    benchmark: Benchmark, inputs: Inputs, name: str, split: str, result: Mapping[str, Any]
) -> LdsRow:
    method = benchmark.methods[name]
    row = {
        "name": name,
        "needs": method.needs,
        "lds": result["lds"],
        "interval": result["interval"]["both"],
        "of_bound": result["of_bound"],
        "selected_lambda": result["selected"]["lambda"],
        "oracle_lambda": result["oracle"]["lambda"],
        "oracle_lds": result["oracle"]["lds"],
        "curve": result["curve"] if method.has_lambda else None,
        "per_query": result["per_query"],
        "measured": result["measured"],
        "query_lists": result["query_lists"],
        "audit": inputs.json("audits", name, split) if inputs.files["audits"] else None,
    }
    return msgspec.convert(row, LdsRow)


def _d_trak_pairs(benchmark: Benchmark) -> list[tuple[PlannedMethod, PlannedMethod]]:
    """Return each D-TRAK with each TRAK at the same models and noise, on as many timesteps or more.

    The paper's claims: D-TRAK is better on the same pass, and with 10 timesteps than TRAK with 100.
    """
    methods = [benchmark.methods[name] for name in benchmark.named_methods]
    passes = benchmark.config.features

    def comparable(d_trak: PlannedMethod, trak: PlannedMethod) -> bool:
        first, second = passes[d_trak.feature_set[0]], passes[trak.feature_set[0]]
        same = msgspec.structs.replace(
            second, n_timesteps=first.n_timesteps, output_functions=first.output_functions
        )
        fewer = first.n_timesteps <= second.n_timesteps
        return d_trak.models == trak.models and first == same and fewer

    return [
        (d_trak, trak)
        for d_trak in methods
        for trak in methods
        if (d_trak.kind, trak.kind) == ("d-trak", "trak") and comparable(d_trak, trak)
    ]
