"""The report's plots, as SVG texts whose bytes depend on the report alone."""

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffattr.counterfactual.result import CounterfactualResult
from diffattr.evaluation.ceiling import Ceiling
from diffattr.report import formats
from diffattr.report.lds import LdsSummary, LdsTable
from diffattr.report.structs import Method, Report
from diffattr.report.sweeps import CellLds, SweepTable

# Okabe and Ito's palette, whose colours stay apart for colour-blind readers; without its yellow,
# which is too faint for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dotted", "dashdot")
MARKERS = ("o", "s", "^", "D", "v")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "diffattr",
    "font.size": 11,
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    "legend.fontsize": 10,
}
WIDTH = 5.4
"""Inches: narrow enough that the text can be read when the plot fills a phone's width."""
# Few steps stay vector shapes; many would become a bitmap inside the plot.
_CERTAINTY = mpl.colormaps["RdBu"].resampled(20)
BOUND, REPEAT = "#222222", "#777777"


def lambda_curves(report: Report, table: LdsTable) -> str | None:
    """Return LDS against lambda, one line per method that has one; None where no method has."""
    paths = [(row, row.curve) for row in table.methods if row.curve is not None]
    if not paths:
        return None
    methods = {method.name: method for method in report.methods}
    styles = looks(report)
    dashes = _dashes([methods[row.name] for row, _ in paths])
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(4.0 + 0.11 * len(paths))
        for row, curve in paths:
            method = methods[row.name]
            colour, dash = styles[method.method][0], dashes[method.gradient_pass or ""]
            lambdas, lds = np.array(curve.lambdas, np.float64), curve.lds
            axes.plot(lambdas, lds, label=row.name, lw=1.8, color=colour, ls=dash)
            chosen = curve.lambdas.index(row.selected_lambda)
            axes.plot(lambdas[chosen], lds[chosen], marker="o", ms=7, color=colour)
        _ceiling(axes.axhline, table.ceiling)
        axes.set(xscale="log", xlabel="lambda (in units of the mean |phi|^2)", ylabel="LDS")
        return _svg(figure)


def intervals(report: Report, table: LdsTable) -> str:
    """Return the LDS of every method with its interval, and the ceiling."""
    rows = table.methods[::-1]
    points, errors = [row.lds for row in rows], _errors(rows)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(1.4 + 0.28 * len(rows))
        axes.errorbar(points, range(len(rows)), xerr=errors, fmt="o", color=COLOURS[0], capsize=3)
        axes.axvline(0, color="#999999", lw=0.8)
        _ceiling(axes.axvline, table.ceiling)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(-0.8, len(rows) - 0.2)
        axes.grid(False, axis="y")
        axes.set_xlabel(f"LDS with {formats.level(report.confidence)} interval")
        return _svg(figure, legend=table.ceiling is not None)


def lds_against_gradients(report: Report, table: LdsTable) -> str | None:
    """Return LDS against gradients per image; None where no type of method has two amounts."""
    rows = {row.name: row for row in table.methods}
    found = sorted(
        (method.method, method.gradients_per_image, method.name)
        for method in report.methods
        if method.name in rows and method.gradients_per_image is not None
    )
    of_kind = {
        kind: [(amount, rows[name]) for _, amount, name in members]
        for kind, members in itertools.groupby(found, key=lambda member: member[0])
    }
    kinds = {kind: members for kind, members in of_kind.items() if len(dict(members)) > 1}
    if not kinds:
        return None
    styles = looks(report)
    amounts = sorted({amount for members in kinds.values() for amount, _ in members})
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(3.9)
        for number, (kind, members) in enumerate(kinds.items()):
            # Side by side, since intervals at the same amount would overlap.
            shift = 1.03 ** (number - (len(kinds) - 1) / 2)
            colour, marker = styles[kind]
            places = [amount * shift for amount, _ in members]
            shown = [row for _, row in members]
            # A line through variants of the same cost would zigzag.
            joined = len(set(places)) == len(places)
            axes.errorbar(
                places,
                [row.lds for row in shown],
                yerr=_errors(shown),
                label=kind,
                color=colour,
                marker=marker,
                linestyle=DASHES[number % len(DASHES)] if joined else "none",
                capsize=3,
            )
        _ceiling(axes.axhline, table.ceiling)
        axes.set(xscale="log", xlabel="gradients per image (timesteps x noise draws)", ylabel="LDS")
        axes.set_xticks(amounts, [str(amount) for amount in amounts])
        axes.minorticks_off()
        return _svg(figure)


def lds_against_seconds(report: Report, table: LdsTable) -> str | None:
    """Return LDS against the cost of a method by itself; None where no cost is known."""
    costs = {m.name: m.cost.seconds for m in report.methods if m.cost.seconds}
    rows = [row for row in table.methods if row.name in costs]
    if not rows:
        return None
    styles = looks(report)
    kinds = {method.name: method.method for method in report.methods}
    shown = sorted({kinds[row.name] for row in rows})
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(3.6 + 0.1 * len(shown))
        for kind in shown:
            colour, marker = styles[kind]
            of_kind = [row for row in rows if kinds[row.name] == kind]
            axes.plot(
                [costs[row.name] for row in of_kind],
                [row.lds for row in of_kind],
                label=kind,
                color=colour,
                marker=marker,
                linestyle="none",
            )
        _ceiling(axes.axhline, table.ceiling)
        axes.set(xscale="log", xlabel="seconds, summed over its jobs", ylabel="LDS")
        return _svg(figure)


def pairs(table: LdsTable) -> str:
    """Return the confidence that one method's LDS is above another's, for every pair."""
    square = table.pairs
    names = [name if len(name) <= 30 else name[:29] + "…" for name in square.names]
    n = len(names)
    with mpl.rc_context(STYLE):
        labels, cells = 2.2, 0.15 * n
        figure, axes = _canvas(labels + cells + 0.9, max(WIDTH, labels + cells))
        # As vector paths, the n x n cells of 40 methods would take a megabyte.
        shown = axes.pcolormesh(
            square.confidence_higher, cmap=_CERTAINTY, vmin=0, vmax=1, rasterized=True
        )
        axes.set_aspect("equal")
        axes.invert_yaxis()
        middles = [place + 0.5 for place in range(n)]
        axes.set_yticks(middles, names, fontsize=8)
        axes.set_xticks(middles, names, fontsize=8, rotation=90)
        axes.grid(False)
        figure.colorbar(
            shown, label="confidence that row is above column", location="top", shrink=0.7
        )
        return _svg(figure, legend=False)


def of_sweep(report: Report, sweep: SweepTable) -> Iterator[tuple[str, str, str]]:
    """Yield every plot of a sweep: the name of its axis, the split, and the plot."""
    axes = [axis for axis in ("n_timesteps", "k", "checkpoint") if axis in sweep.axes]
    if "n_timesteps" in axes and any(
        cell.gradients_per_image != cell.values["n_timesteps"] for cell in sweep.cells
    ):
        axes.append("gradients_per_image")
    for axis in axes:
        for table in report.lds:
            if (svg := sweep_lines(sweep, table.split, axis)) is not None:
                yield axis, table.split, svg


def sweep_lines(sweep: SweepTable, split: str, axis: str) -> str | None:
    """Return LDS along one axis of a sweep, one line per combination of the others.

    `axis` may be `gradients_per_image`. None where no line has two points.
    """
    others = [name for name in sweep.axes if name != axis]
    if axis == "gradients_per_image":
        others = [name for name in others if name != "n_timesteps"]
    lines: dict[str, list[tuple[Any, CellLds]]] = {}
    for cell in sweep.cells:
        if split not in cell.splits:
            continue
        place = cell.values.get(axis, cell.gradients_per_image)
        words = [_value(name, cell.values[name]) for name in others]
        label = ", ".join(words) or sweep.method
        lines.setdefault(label, []).append((place, cell.splits[split]))
    if not any(len(points) > 1 for points in lines.values()):
        return None
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(3.4 + 0.12 * len(lines))
        for number, (label, points) in enumerate(lines.items()):
            ordered = sorted(points, key=lambda point: point[0])
            shown = [found for _, found in ordered]
            axes.errorbar(
                [place for place, _ in ordered],
                [found.lds for found in shown],
                yerr=_errors(shown),
                label=label,
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                linestyle=DASHES[number // len(COLOURS) % len(DASHES)],
                lw=1.4,
                capsize=2,
            )
        places = sorted({place for points in lines.values() for place, _ in points})
        if min(places) > 0:
            axes.set_xscale("log")
        axes.set_xticks(places, [str(place) for place in places])
        axes.minorticks_off()
        axes.set(xlabel=axis.replace("_", " "), ylabel="LDS")
        return _svg(figure)


def _value(axis: str, value: Any) -> str:
    """Return a value with the name of its axis, unless it is clear without."""
    return str(value) if axis == "output_function" else f"{axis.replace('_', ' ')} {value}"


def moves(counterfactual: CounterfactualResult, measure: str, fraction: float) -> str:
    """Return box plots over queries of one measure, one box per method and side."""
    rows = [row for row in counterfactual.removals if row.fraction == fraction][::-1]
    labels = [row.method + ("" if row.side == "proponents" else " (opponents)") for row in rows]
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(1.3 + 0.36 * len(rows))
        axes.boxplot(
            [row.measures[measure].per_query for row in rows],
            orientation="horizontal",
            tick_labels=labels,
            showmeans=True,
            meanprops={"marker": "D", "markerfacecolor": COLOURS[1], "markeredgecolor": "none"},
            medianprops={"color": COLOURS[0]},
        )
        if measure == "loss-change":
            axes.axvline(0, color="#999999", lw=0.8)
        axes.grid(False, axis="y")
        axes.set_xlabel(measure.replace("-", " "))
        return _svg(figure, legend=False)


def looks(report: Report) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each type of method in every plot; kernel methods come first.

    The numbers of colours and of markers have no common factor, so 35 types look different.
    """
    kinds = sorted({(not method.has_lambda, method.method) for method in report.methods})
    return {
        kind: (COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
        for place, (_, kind) in enumerate(kinds)
    }


def _dashes(methods: Sequence[Method]) -> dict[str, str]:
    """Return the dash of each gradient pass; the one with the most gradients is a solid line."""
    passes = sorted(
        {(-(method.gradients_per_image or 0), method.gradient_pass or "") for method in methods}
    )
    return {name: DASHES[place % len(DASHES)] for place, (_, name) in enumerate(passes)}


def _canvas(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _ceiling(line: Any, ceiling: Ceiling | None) -> None:
    if ceiling is not None:
        line(ceiling.bound, color=BOUND, lw=1.4, ls=(0, (6, 2)), label="bound")
        line(
            ceiling.one_more_retraining,
            color=REPEAT,
            lw=1.2,
            ls=(0, (1, 2)),
            label="one more retraining",
        )


def _errors(rows: Sequence[LdsSummary]) -> list[list[float]]:
    """Return how far intervals reach below and above the LDS."""
    return [
        [row.lds - row.interval[0] for row in rows],
        [row.interval[1] - row.lds for row in rows],
    ]


def _svg(figure: Figure, *, legend: bool = True) -> str:
    if legend:
        figure.legend(loc="outside lower center", ncols=2)
    file = io.StringIO()
    # Metadata would carry the date, and links to vocabularies on the web.
    figure.savefig(
        file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    return file.getvalue()
