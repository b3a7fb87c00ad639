"""Puts the finished standard benchmarks into docs/results/ and their answer into README.md.

Run after `snakemake --configfile configs/standard-<name>.yaml` (`make results`). Reports are copied
as they are; all that is written about them here comes from their report.json.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml
from blocks import claim, github, replaced

from diffattr.artifacts import read_json, write_text
from diffattr.benchmark import LDS_SPLITS
from diffattr.benchmark.methods import Needs
from diffattr.config import load_schema, parse
from diffattr.report import formats

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "README.md"
BENCHMARKS = ("standard-digits", "standard-fashion")
FILES = ("index.html", "sweeps.html", "report.json", "lds.txt")


def report_of(name: str) -> dict[str, Any]:
    """Return the numbers of a finished benchmark whose config is the one in the repository.

    Raises:
        SystemExit: there is no report, or it is of another config; says what to run.
    """
    config, path = Path("configs") / f"{name}.yaml", Path("results") / name / "report/report.json"
    if not (ROOT / path).exists():
        raise SystemExit(f"{path}: does not exist; run: snakemake --configfile {config}")
    numbers = read_json(ROOT / path)
    schema = load_schema(ROOT / "schemas" / "config.schema.json")
    tree = yaml.safe_load((ROOT / config).read_text(encoding="utf-8"))
    written = msgspec.json.decode(msgspec.json.encode(parse(tree, schema, str(config))))
    if numbers["config"] != written:
        raise SystemExit(f"{path}: is of another config; run: snakemake --configfile {config}")
    return numbers


def copy_report(name: str) -> None:
    """Copy the files of a report."""
    folder = PAGE.parent / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        source = ROOT / "results" / name / "report" / file
        if source.exists():
            shutil.copyfile(source, folder / file)


def answer(numbers: Mapping[str, Any]) -> str:
    """Return what a benchmark says of the D-TRAK paper's claim."""
    found = numbers["claim"]
    n = sum(found.values())
    models = f"{numbers['n_subsets']} subsets with {numbers['n_seeds']} seeds each"
    return (
        f"**{numbers['name']}** ({numbers['n_train']} training images, {models}): D-TRAK is"
        f" higher in {found['higher']} of {n} comparisons, lower in {found['lower']}, and"
        f" {found['undecided']} are undecided.\n\n{claim(numbers)}"
    )


def lambdas(row: Mapping[str, Any]) -> str:
    """Return the honest and the oracle lambda."""
    return f"{formats.short(row['selected_lambda'])} / {formats.short(row['oracle_lambda'])}"


def told_apart(table: Mapping[str, Any], needs: str, name: str) -> str:
    """Return whether the paired test tells a method apart from all others of its group."""
    if sum(row["needs"] == needs for row in table["methods"]) == 1:
        return "alone in it"
    return "yes" if table["sole_best"][needs] == name else "no"


def leaders(numbers: Mapping[str, Any]) -> str:
    """Return the best method of every group on each split."""
    rows = []
    for table in numbers["lds"]:
        for needs in (needs for needs in get_args(Needs) if needs in table["sole_best"]):
            row = next(row for row in table["methods"] if row["needs"] == needs)
            rows.append(
                [
                    table["split"],
                    needs,
                    row["name"],
                    formats.fixed(row["lds"]),
                    formats.between(row["interval"]),
                    formats.percent(row["of_bound"]),
                    lambdas(row),
                    formats.fixed(row["oracle_lds"]),
                    told_apart(table, needs, row["name"]),
                ]
            )
    interval = f"{formats.level(numbers['confidence'])} CI"
    return github(
        rows,
        [
            *("split", "needs", "best method", "LDS", interval, "of bound"),
            *("lambda cross-fitted / oracle", "oracle LDS", "told apart from its group"),
        ],
    )


def sweep(found: Mapping[str, Any]) -> str:
    """Return one sweep's table: LDS with its interval, honest and oracle lambda."""
    axes = list(found["axes"])
    splits = [split for split in LDS_SPLITS if split in found["cells"][0]["splits"]]
    rows = []
    for cell in found["cells"]:
        row = [cell["values"][axis] for axis in axes]
        for split in splits:
            of_split = cell["splits"][split]
            row += [
                f"{formats.fixed(of_split['lds'])} ({formats.between(of_split['interval'])})",
                formats.fixed(of_split["oracle_lds"]),
                lambdas(of_split),
            ]
        rows.append(row)
    headers = [
        title
        for split in splits
        for title in (f"LDS {split}", f"at oracle lambda, {split}", f"lambda, {split}")
    ]
    return github(rows, [*axes, *headers])


def section(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of one benchmark's section."""
    name = numbers["name"]
    links = [f"[{file}]({name}/{file})" for file in FILES if (PAGE.parent / name / file).exists()]
    seconds = numbers["costs"]["total"]["seconds"]
    host = numbers["origin"]["hosts"][0]["value"]
    yield f"## {name}"
    yield (
        f"`snakemake --configfile configs/{name}.yaml`; {seconds / 3600:.1f} core-hours on"
        f" {host['processor']}. Files: {', '.join(links)}."
    )
    yield f"### D-TRAK against TRAK\n\n{answer(numbers)}"
    yield f"### The best of each group\n\n{leaders(numbers)}"
    for found in numbers["sweeps"]:
        yield f"### Sweep {found['name']}\n\n{sweep(found)}"


if __name__ == "__main__":
    reports = [report_of(name) for name in BENCHMARKS]
    for name in BENCHMARKS:
        copy_report(name)
    text = PAGE.read_text(encoding="utf-8")
    parts = [part for numbers in reports for part in section(numbers)]
    write_text(PAGE, replaced(text, "results", "\n" + "\n\n".join(parts) + "\n"))
    readme = ROOT / "README.md"
    answers = "\n\n".join(map(answer, reports))
    text = readme.read_text(encoding="utf-8")
    write_text(readme, replaced(text, "answer", f"\n{answers}\n"))
