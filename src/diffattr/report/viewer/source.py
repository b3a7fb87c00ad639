"""What the viewer shows of a benchmark, from the report and its inputs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import Arrays
from diffattr.report import formats
from diffattr.report.files import Inputs
from diffattr.report.structs import Report
from diffattr.report.viewer import Method, Split, Train, write
from diffattr.report.viewer.content import Images, Maps


def write_viewer(
    directory: str | Path, report: Report, inputs: Inputs, images: Images, top: int
) -> None:
    """Write the folder in which every query of the benchmark can be looked at.

    `top` training images are shown at either end of each method's scores.
    """
    words = formats.split_words(report.is_measured)
    lds = {table.split: {row.name: row.per_query for row in table.methods} for table in report.lds}

    def ids(split: str) -> Sequence[int | str]:
        return inputs.names.get(split) or inputs.array("indices", split).tolist()

    def labels(split: str) -> list[str] | None:
        found = inputs.labels(split)
        return None if found is None else ["none" if name is None else name for name in found]

    splits = [
        Split(
            group.split,
            words[group.split],
            report.ranking(group.split),
            ids(group.split),
            labels(group.split),
            lds.get(group.split),
            report.planted.copies if report.planted and group.split == "planted" else None,
            "image" if group.split in inputs.names else "noise number",
        )
        for group in report.queries
    ]
    write(
        directory,
        report.name,
        [Method(method.name, method.needs, method.features) for method in report.methods],
        Train(ids("train"), labels("train")),
        splits,
        images,
        lambda method, split: inputs.arrays("scores", method, split)["scores"],
        maps=_maps_of(inputs) if inputs.files["maps"] else None,
        top=top,
        report="../index.html",
    )


def _maps_of(inputs: Inputs) -> Maps:
    """Return a function that gives a method's maps as shares of the query's largest value."""

    @cache
    def stored_maps(method: str, split: str) -> Arrays | None:
        if (method, split) not in inputs.files["maps"]:
            return None
        return inputs.arrays("maps", method, split)

    def maps(
        method: str, split: str, query: int, positions: list[int]
    ) -> Float[np.ndarray, "train height width"] | None:
        found = stored_maps(method, split)
        if found is None:
            return None
        of_query = found["maps"][query]
        places = {position: place for place, position in enumerate(found["positions"][query])}
        return of_query[[places[position] for position in positions]] / max(of_query.max(), 1e-30)

    return maps
