"""Puts the finished standard benchmarks into docs/results/ and their answer into README.md.

Run after `snakemake --configfile configs/standard-<name>.yaml` (`make results`). All that is
written and drawn here comes from their report.json, which is kept compressed. The report's pages
hold the images and are megabytes, so they are not kept.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import msgspec
import yaml
from blocks import claim, github, replaced

from diffattr.artifacts import read_json, write_text
from diffattr.benchmark.completion import read_config
from diffattr.benchmark.methods import Needs
from diffattr.benchmark.paths import LDS_SPLITS
from diffattr.config import extended
from diffattr.report import figures, formats
from diffattr.report.lds import LdsRow, LdsTable
from diffattr.report.structs import Report, read
from diffattr.report.sweeps import CellLds, SweepTable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "README.md"
BENCHMARKS = ("standard-digits", "standard-fashion")
PLOTS: dict[str, Callable[[Report, LdsTable], str | None]] = {
    "LDS with its interval": figures.intervals,
    "LDS along lambda": figures.lambda_curves,
    "LDS against seconds": figures.lds_against_seconds,
    "Every method against every other": lambda _, table: figures.pairs(table),
}


def report_of(name: str) -> Report:
    """Return the report on a finished benchmark whose config is the one in the repository.

    Raises:
        SystemExit: there is no report, or it is of another config; says what to run.
    """
    config, path = Path("configs") / f"{name}.yaml", Path("results") / name / "report/report.json"
    if not (ROOT / path).exists():
        raise SystemExit(f"{path}: does not exist; run: snakemake --configfile {config}")
    report = read(ROOT / path)
    schema = read_json(ROOT / "schemas" / "config.schema.json")
    raw = extended(yaml.safe_load((ROOT / config).read_text(encoding="utf-8")), [ROOT / config])
    written = msgspec.json.decode(msgspec.json.encode(read_config(raw, schema, str(config))))
    if report.config != written:
        raise SystemExit(f"{path}: is of another config; run: snakemake --configfile {config}")
    return report


def keep(name: str) -> None:
    """Copy a report.json, compressed, and the table beside it."""
    source, folder = ROOT / "results" / name / "report", PAGE.parent / name
    folder.mkdir(parents=True, exist_ok=True)
    compressed = gzip.compress((source / "report.json").read_bytes(), mtime=0)
    (folder / "report.json.gz").write_bytes(compressed)
    write_text(folder / "lds.txt", (source / "lds.txt").read_text(encoding="utf-8"))


def pictures(folder: Path, drawn: Iterable[tuple[str, str, str | None]]) -> str:
    """Write plots, each with its title and split, and return a table of them: a row per title."""
    rows: dict[str, dict[str, str]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for title, split, svg in drawn:
        if svg is None:
            continue
        file = f"{title.lower().replace(' ', '-')}-{split}.svg"
        write_text(folder / file, svg)
        rows.setdefault(title, {})[split] = f"![{title}, {split}]({folder.name}/{file})"
    return github(
        [[title, *(row.get(split, "") for split in LDS_SPLITS)] for title, row in rows.items()],
        ["", *LDS_SPLITS],
    )


def answer(report: Report) -> str:
    """Return what a benchmark says of the D-TRAK paper's claim."""
    found = report.claim
    models = f"{report.n_subsets} subsets with {report.n_seeds} seeds each"
    return (
        f"**{report.name}** ({report.n_train} training images, {models}): D-TRAK is"
        f" higher in {found.higher} of {found.total} comparisons, lower in {found.lower}, and"
        f" {found.undecided} are undecided.\n\n{claim(report)}"
    )


def lambdas(row: LdsRow | CellLds) -> str:
    """Return the honest and the oracle lambda."""
    return f"{formats.short(row.selected_lambda)} / {formats.short(row.oracle_lambda)}"


def told_apart(table: LdsTable, needs: str, name: str) -> str:
    """Return whether the paired test tells a method apart from all others of its group."""
    if sum(row.needs == needs for row in table.methods) == 1:
        return "alone in it"
    return "yes" if table.sole_best[needs] == name else "no"


def leaders(report: Report) -> str:
    """Return the best method of every group on each split."""
    rows = []
    for table in report.lds:
        for needs in (needs for needs in get_args(Needs) if needs in table.sole_best):
            row = next(row for row in table.methods if row.needs == needs)
            rows.append(
                [
                    table.split,
                    needs,
                    row.name,
                    formats.fixed(row.lds),
                    formats.between(row.interval),
                    formats.percent(row.of_bound),
                    lambdas(row),
                    formats.fixed(row.oracle_lds),
                    told_apart(table, needs, row.name),
                ]
            )
    interval = f"{formats.level(report.confidence)} CI"
    return github(
        rows,
        [
            *("split", "needs", "best method", "LDS", interval, "of bound"),
            *("lambda cross-fitted / oracle", "oracle LDS", "told apart from its group"),
        ],
    )


def sweep(found: SweepTable) -> str:
    """Return one sweep's table: LDS with its interval, honest and oracle lambda."""
    axes = list(found.axes)
    splits = [split for split in LDS_SPLITS if split in found.cells[0].splits]
    rows = []
    for cell in found.cells:
        row = [cell.values[axis] for axis in axes]
        for split in splits:
            of_split = cell.splits[split]
            row += [
                f"{formats.fixed(of_split.lds)} ({formats.between(of_split.interval)})",
                formats.fixed(of_split.oracle_lds),
                lambdas(of_split),
            ]
        rows.append(row)
    headers = [
        title
        for split in splits
        for title in (f"LDS {split}", f"at oracle lambda, {split}", f"lambda, {split}")
    ]
    return github(rows, [*axes, *headers])


def section(report: Report, folder: Path) -> Iterator[str]:
    """Yield the parts of one benchmark's section, and write its plots into a folder beside it."""
    name = report.name
    links = [f"[{file}]({name}/{file})" for file in ("lds.txt", "report.json.gz")]
    seconds = report.costs.total.seconds
    host = report.origin.hosts[0].value
    yield f"## {name}"
    yield (
        f"`snakemake --configfile configs/{name}.yaml`; its jobs took {seconds / 3600:.1f} hours"
        f" in sum on {host['processor']}. Files: {', '.join(links)}."
    )
    yield f"### D-TRAK against TRAK\n\n{answer(report)}"
    yield f"### The best of each group\n\n{leaders(report)}"
    drawn = (
        (title, table.split, plot(report, table))
        for title, plot in PLOTS.items()
        for table in report.lds
    )
    yield f"### All methods\n\n{pictures(folder, drawn)}"
    for found in report.sweeps:
        along = (
            (f"{found.name} along {axis}", split, svg)
            for axis, split, svg in figures.of_sweep(report, found)
        )
        yield f"### Sweep {found.name}\n\n{pictures(folder, along)}\n\n{sweep(found)}"


if __name__ == "__main__":
    reports = [report_of(name) for name in BENCHMARKS]
    for name in BENCHMARKS:
        keep(name)
    text = PAGE.read_text(encoding="utf-8")
    parts = [part for report in reports for part in section(report, PAGE.parent / report.name)]
    write_text(PAGE, replaced(text, "results", "\n" + "\n\n".join(parts) + "\n"))
    readme = ROOT / "README.md"
    answers = "\n\n".join(map(answer, reports))
    text = readme.read_text(encoding="utf-8")
    write_text(readme, replaced(text, "answer", f"\n{answers}\n"))
