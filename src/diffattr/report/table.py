"""The report's tables for a terminal."""

from collections.abc import Iterator

from tabulate import tabulate

from diffattr.report import formats
from diffattr.report.structs import Report


def text(report: Report) -> str:
    """Return LDS per split, then planted truth, as plain text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"Benchmark {report.name}: {report.n_train} training images"
    for table in report.lds:
        yield ""
        yield (
            f"LDS on split {table.split}: {table.n_queries} queries,"
            f" {table.n_subsets} subsets, training seeds per subset: {report.n_seeds}"
        )
        ci = f"{formats.level(report.confidence)} CI"
        headers = ["method", "LDS", ci, "of bound", "lambda", "oracle lambda", "oracle LDS"]
        rows = [
            [
                row.name,
                formats.fixed(row.lds),
                formats.between(row.interval),
                formats.percent(row.of_bound),
                formats.short(row.selected_lambda),
                formats.short(row.oracle_lambda),
                formats.fixed(row.oracle_lds),
            ]
            for row in table.methods
        ]
        if (ceiling := table.ceiling) is not None:
            rows.append(["(bound)", formats.fixed(ceiling.bound)])
            rows.append(["(one more retraining)", formats.fixed(ceiling.one_more_retraining)])
        yield _table(headers, rows)
        if ceiling is None:
            yield "The ceiling is unavailable: it requires at least two training seeds per subset."
    if report.planted is not None:
        yield ""
        yield (
            f"Planted truth: {report.planted.n_queries} training images as queries;"
            " rank of the copy among all training images"
        )
        rows = [
            [row.name, formats.percent(row.recall_at_1), formats.rank(row.mean_rank)]
            for row in report.planted.methods
        ]
        yield _table(["method", "recall@1", "mean rank"], rows)


def _table(headers: list[str], rows: list[list[str]]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, disable_numparse=True, colalign=align)
