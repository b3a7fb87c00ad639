"""Every query's proponents and opponents as a table."""

import csv
from pathlib import Path

from diffattr.artifacts import atomic_write
from diffattr.benchmark import Benchmark
from diffattr.report.files import Inputs
from diffattr.report.viewer.extremes import highest

HEADER = ("split", "query", "method", "side", "rank", "image", "position", "score")


def write_proponents(path: str | Path, benchmark: Benchmark, inputs: Inputs) -> None:
    """Write a CSV file with the `report.top` images at either end of every query and method.

    `query` and `image` are names as in report.json (the number of a generated query's noise),
    `position` is the image's position in the training set, `rank` 1 is the end of the scores.
    """
    train = inputs.names["train"]
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        for split in benchmark.splits.queries:
            names = inputs.names.get(split) or inputs.array("indices", split).tolist()
            for method in benchmark.splits.methods_of(split):
                scores = inputs.arrays("scores", method, split)["scores"]
                for side, signed in (("proponent", scores), ("opponent", -scores)):
                    for query, row in enumerate(highest(signed, benchmark.config.report.top)):
                        table.writerows(
                            [
                                *(split, names[query], method, side, rank),
                                *(train[position], position, scores[query, position]),
                            ]
                            for rank, position in enumerate(row.tolist(), start=1)
                        )
