"""The tables of LDS: every method on every measured split, and every comparison of two."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from diffattr.benchmark import Benchmark
from diffattr.evaluation import comparison
from diffattr.evaluation.result import LdsResult
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

Results = Mapping[str, LdsResult]
"""The LDS artifact of every method on one split."""


def lds_table(benchmark: Benchmark, inputs: Inputs, split: str, results: Results) -> LdsTable:
    """Return one split's table, best method first, with its comparisons.

    `results` are those of the methods that the config names, without the cells of sweeps.
    """
    ranking = sorted(results, key=lambda name: (-results[name].lds, name))
    best, first = ranking[0], results[ranking[0]]
    confidence = benchmark.measurement.lds.confidence

    def compared(method: str, baseline: str) -> dict[str, Any]:
        return msgspec.to_builtins(comparison.difference(results, method, baseline, confidence))

    return LdsTable(
        split=split,
        n_subsets=first.n_subsets,
        n_queries=first.n_queries,
        ceiling=msgspec.convert(msgspec.to_builtins(first.ceiling), Ceiling | None),
        methods=[_row(benchmark, inputs, name, split, results[name]) for name in ranking],
        best=best,
        sole_best={
            needs: comparison.sole_best(results, names, confidence)
            for needs, names in _by_needs(benchmark, ranking).items()
        },
        pairs=msgspec.convert(
            msgspec.to_builtins(comparison.pairs(results, ranking, confidence)), Pairs
        ),
        to_best=[msgspec.convert(compared(name, best), Difference) for name in ranking[1:]],
        d_trak=[
            msgspec.convert(
                {
                    **compared(d_trak, trak),
                    "passes": [benchmark.methods[name].gradient_pass for name in (d_trak, trak)],
                    "oracle_difference": results[d_trak].oracle.lds - results[trak].oracle.lds,
                },
                ClaimedDifference,
            )
            for d_trak, trak in _d_trak_pairs(benchmark)
        ],
    )


def claim(tables: Iterable[LdsTable]) -> Claim:
    """Return in how many comparisons D-TRAK is higher than TRAK, lower, or neither."""
    found = comparison.tally(pair.verdict for table in tables for pair in table.d_trak)
    return msgspec.convert(msgspec.to_builtins(found), Claim)


def _by_needs(benchmark: Benchmark, names: Iterable[str]) -> dict[str, list[str]]:
    """Return methods by what they need, in the order of `names`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(benchmark.methods[name].needs, []).append(name)
    return groups


def _row(benchmark: Benchmark, inputs: Inputs, name: str, split: str, found: LdsResult) -> LdsRow:
    method, result = benchmark.methods[name], msgspec.to_builtins(found)
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


def _d_trak_pairs(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return the names of each D-TRAK and a TRAK that it may be compared with."""
    return comparison.d_trak_pairs(
        {
            name: comparison.OnGradients(
                kind=method.kind,
                models=method.models,
                gradient_pass=benchmark.config.features[method.gradient_pass],
            )
            for name, method in benchmark.methods.items()
            if name in benchmark.splits.named and method.gradient_pass is not None
        }
    )
