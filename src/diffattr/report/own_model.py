"""The report on a model that somebody already has: answers, not how right they are.

As for a benchmark, the page is made from `report.json` and the images alone.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from diffattr.artifacts import read_array, read_arrays, read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.own_model import lambda_of
from diffattr.config import OwnModel
from diffattr.report import cost, method_cost, viewer
from diffattr.report.numbers import checks_of, method_row, planted_ranks, shown_queries
from diffattr.report.queries import maps_of

_WORDS = {"val": "your queries", "gen": "generated images", "planted": "planted copies"}

Images = Mapping[str, Float[np.ndarray, "_ channel height width"]]


def gather(benchmark: Benchmark, own: OwnModel, roots: Iterable[str]) -> dict[str, Any]:
    """Return all that the report says; `roots` are the artifacts that it is made from."""
    roots, paths = list(roots), benchmark.paths
    records = cost.lineage(cost.read_records(paths.root), roots)
    costs = method_cost.method_costs(benchmark, records)
    planted = planted_ranks(benchmark) if own.data.n_planted else None
    named = read_json(paths.names())
    return {
        "name": own.name,
        "config": msgspec.json.decode(msgspec.json.encode(own)),
        "model": own.model.pretrained,
        "n_train": own.data.n_train,
        "methods": [
            {
                **method_row(benchmark, name),
                "lambda": lambda_of(own, name),
                "lambda_by_rule": options.lam == "rule",
                "cost": costs[name],
            }
            for name, options in own.methods.items()
        ],
        "lds": [],
        "planted": planted,
        "queries": [
            _named(shown_queries(benchmark, split, None, planted), named)
            for split in benchmark.query_splits
        ],
        "checks": list(checks_of(benchmark)),
        "costs": cost.costs(records),
        "origin": cost.origin(records, roots),
    }


def _named(group: dict[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return shown queries with the names of images, and of classes, in the place of numbers."""
    names, train = named["images"].get(group["split"]), named["images"]["train"]

    def of_class(label: int | None) -> str | None:
        return None if label is None else _class_name(label, named["classes"])

    for query in group["queries"]:
        query["name"] = None if names is None else names[query["index"]]
        query["label"] = of_class(query["label"])
        for method in query["methods"]:
            for found in (*method["proponents"], *method["opponents"]):
                found["name"] = train[found["train"]]
                found["label"] = of_class(found["label"])
    return group


def _class_name(label: int, classes: Sequence[str]) -> str | None:
    """Return a class's name, None where there is one class alone, or for label -1."""
    return classes[label] if label >= 0 and len(classes) > 1 else None


def proponents_csv(benchmark: Benchmark) -> str:
    """Return every query's proponents and opponents under every method, as a table."""
    named, top = read_json(benchmark.paths.names())["images"], benchmark.config.report.top
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["split", "query", "method", "side", "rank", "image", "position", "score"])
    for split in benchmark.query_splits:
        names = named.get(split) or read_array(benchmark.paths.indices(split)).tolist()
        for method in benchmark.methods_of(split):
            scores = read_arrays(benchmark.paths.scores(method, split))["scores"]
            for side, signed in (("proponent", scores), ("opponent", -scores)):
                positions = viewer.highest(signed, top)
                for query, own in enumerate(positions):
                    for rank, position in enumerate(own.tolist(), start=1):
                        image, score = named["train"][position], scores[query, position]
                        row = [split, names[query], method, side, rank, image, position, score]
                        table.writerow(row)
    return file.getvalue()


def write_viewer(
    directory: str | Path, benchmark: Benchmark, numbers: Mapping[str, Any], images: Images
) -> None:
    """Write the folder in which every query can be looked at."""
    paths, named = benchmark.paths, read_json(benchmark.paths.names())

    def labels(split: str) -> list[str] | None:
        if not benchmark.has_labels(split) or len(named["classes"]) == 1:
            return None
        found = [_class_name(n, named["classes"]) for n in read_array(paths.labels(split)).tolist()]
        return [name or "none" for name in found]

    viewer.write(
        directory,
        numbers["name"],
        numbers["methods"],
        viewer.Train(named["images"]["train"], labels("train")),
        [
            viewer.Split(
                split,
                _WORDS[split],
                benchmark.methods_of(split),
                named["images"].get(split) or read_array(paths.indices(split)).tolist(),
                labels(split),
                copies=numbers["planted"]["copies"] if split == "planted" else None,
                id_words="noise number" if split == "gen" else "image",
            )
            for split in benchmark.query_splits
        ],
        images,
        lambda method, split: read_arrays(paths.scores(method, split))["scores"],
        maps=maps_of(benchmark),
        top=benchmark.config.report.top,
        report="../index.html",
    )
