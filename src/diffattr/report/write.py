"""Writes the whole report."""

from collections.abc import Mapping

import msgspec
import numpy as np

from diffattr.artifacts import write_json, write_text
from diffattr.benchmark import Benchmark
from diffattr.report import page, table
from diffattr.report.files import Inputs
from diffattr.report.gather import gather
from diffattr.report.proponents import write_proponents
from diffattr.report.viewer.source import write_viewer


def write_report(benchmark: Benchmark, inputs: Inputs, outputs: Mapping[str, str]) -> None:
    """Write pages for people, the same numbers for machines, and tables.

    `outputs` are those of `diffattr.report.files.output_files`.

    Raises:
        ArtifactError: an input is missing or damaged.
    """
    report = gather(benchmark, inputs)
    images = {
        str(split): inputs.array("images", split, mmap=True) for (split,) in inputs.files["images"]
    }
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


def _redrawn(benchmark: Benchmark, inputs: Inputs) -> page.Images:
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
