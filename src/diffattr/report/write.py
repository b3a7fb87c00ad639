"""Writes the whole report."""

import csv
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from diffattr.artifacts import ArtifactError, atomic_write, write_json, write_text
from diffattr.attribution.scores import highest
from diffattr.benchmark import Benchmark
from diffattr.report import page, table
from diffattr.report.files import Inputs, input_files
from diffattr.report.gather import gather
from diffattr.report.pictures import Images
from diffattr.report.viewer import write_viewer


def write_report(benchmark: Benchmark, outputs: Mapping[str, str]) -> None:
    """Write pages for people, the same numbers for machines, and tables.

    `outputs` are those of `diffattr.report.files.output_files`.

    Raises:
        ArtifactError: an input is missing or damaged.
    """
    inputs = Inputs(input_files(benchmark))
    report = gather(benchmark, inputs)
    splits = ("train", *benchmark.splits.queries)
    images = {split: inputs.array("images", split, mmap=True) for split in splits}
    for split in splits:
        _check_lengths(inputs, split, images[split])
    write_json(outputs["numbers"], msgspec.to_builtins(report))
    write_text(outputs["page"], page.html(report, images))
    write_proponents(outputs["proponents"], benchmark, inputs)
    write_viewer(outputs["viewer"], report, inputs, images, benchmark.config.report.top)
    if report.is_measured:
        write_text(outputs["table"], table.text(report))
    if report.sweeps:
        write_text(outputs["sweeps"], page.sweeps_html(report))
    if (found := report.counterfactual) is not None:
        shown = {**images, **_redrawn(benchmark, inputs)}
        write_text(outputs["redrawn"], page.counterfactual_html(report, found, shown))


def _check_lengths(inputs: Inputs, split: str, images: np.ndarray) -> None:
    """Refuse files that do not describe as many images of a split as its indices."""
    files, n = inputs.files, len(inputs.array("indices", split))
    sized = {"images": images, "names": inputs.names.get(split), "labels": inputs.labels(split)}
    for kind, values in sized.items():
        if values is not None and len(values) != n:
            path = files[kind][() if kind == "names" else (split,)]
            raise ArtifactError(
                f"{path}: found {len(values)} {kind} of split {split}, expected {n}, as in"
                f" {files['indices'][split,]}; rebuild both: snakemake --force {path}"
                f" {files['indices'][split,]}"
            )


def write_proponents(path: str | Path, benchmark: Benchmark, inputs: Inputs) -> None:
    """Write a CSV file with the `report.top` images at either end of every query and method.

    `query` and `image` are names as in report.json (the number of a generated query's noise),
    `position` is the image's position in the training set, `rank` 1 is the end of the scores.
    """
    train, top = inputs.names["train"], benchmark.config.report.top
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("split", "query", "method", "side", "rank", "image", "position", "score"))
        for split in benchmark.splits.queries:
            names = inputs.ids(split)
            for method in benchmark.splits.methods_of(split):
                scores = inputs.arrays("scores", method, split)["scores"]
                for side, signed in (("proponent", scores), ("opponent", -scores)):
                    for query, row in enumerate(highest(signed, top).tolist()):
                        table.writerows(
                            (
                                *(split, names[query], method, side, rank),
                                *(train[position], position, scores[query, position]),
                            )
                            for rank, position in enumerate(row, start=1)
                        )


def _redrawn(benchmark: Benchmark, inputs: Inputs) -> Images:
    """Return the chosen queries redrawn after each removal, with the first training seed.

    Keys are `redrawn-0`, `redrawn-1`, ... in the order of the benchmark's removals.
    """
    name = "samples" if benchmark.models.text_conditioned is None else "images"
    return {
        f"redrawn-{number}": np.concatenate(
            [
                inputs.arrays("outcomes", removal.group, block)[name]
                for block in benchmark.counts.blocks(removal.group)
            ]
        )
        for number, removal in enumerate(benchmark.counts.removals)
    }
