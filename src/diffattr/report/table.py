"""The report's tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from tabulate import tabulate

from diffattr.report import formats


def text(numbers: Mapping[str, Any]) -> str:
    """Return LDS per split, then planted truth, as plain text."""
    return "\n".join(_lines(numbers)) + "\n"


def _lines(numbers: Mapping[str, Any]) -> Iterator[str]:
    yield f"Benchmark {numbers['name']}: {numbers['n_train']} training images"
    for table in numbers["lds"]:
        yield ""
        yield (
            f"LDS on split {table['split']}: {table['n_queries']} queries,"
            f" {table['n_subsets']} subsets, training seeds per subset: {numbers['n_seeds']}"
        )
        ci = f"{formats.level(numbers['confidence'])} CI"
        headers = ["method", "LDS", ci, "of bound", "lambda", "oracle lambda", "oracle LDS"]
        yield _table(headers, [*map(_lds_row, table["methods"]), *_ceiling_rows(table["ceiling"])])
        if table["ceiling"] is None:
            yield "The ceiling is unavailable: it takes two training seeds or more per subset."
    if numbers["planted"] is not None:
        yield ""
        planted = numbers["planted"]
        yield (
            f"Planted truth: {planted['n_queries']} training images asked about;"
            " rank of the copy among all training images"
        )
        rows = [
            [row["name"], formats.percent(row["recall_at_1"]), formats.rank(row["mean_rank"])]
            for row in planted["methods"]
        ]
        yield _table(["method", "recall@1", "mean rank"], rows)


def _table(headers: list[str], rows: list[list[str]]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, disable_numparse=True, colalign=align)


def _lds_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["name"],
        formats.fixed(row["lds"]),
        formats.between(row["interval"]),
        formats.percent(row["of_bound"]),
        formats.short(row["selected_lambda"]),
        formats.short(row["oracle_lambda"]),
        formats.fixed(row["oracle_lds"]),
    ]


def _ceiling_rows(ceiling: Mapping[str, Any] | None) -> list[list[str]]:
    if ceiling is None:
        return []
    return [
        ["(bound)", formats.fixed(ceiling["bound"]), *[""] * 5],
        ["(one more retraining)", formats.fixed(ceiling["one_more_retraining"]), *[""] * 5],
    ]
