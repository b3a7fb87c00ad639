"""The report on a model that somebody already has: answers, not how right they are.

As for a benchmark, the page is made from `report.json` and the images alone.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from diffattr.artifacts import read_array, read_arrays, read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.own_model import lambda_of
from diffattr.config import OwnModel
from diffattr.report import cost, method_cost
from diffattr.report.numbers import checks_of, method_row, planted_ranks, shown_queries
from diffattr.report.viewer.extremes import highest
from diffattr.report.viewer.source import class_names


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
        if label is None or label < 0:
            return None
        found = class_names([label], named["classes"])
        return None if found is None else found[0]

    for query in group["queries"]:
        query["name"] = None if names is None else names[query["index"]]
        query["label"] = of_class(query["label"])
        for method in query["methods"]:
            for found in (*method["proponents"], *method["opponents"]):
                found["name"] = train[found["train"]]
                found["label"] = of_class(found["label"])
    return group


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
                positions = highest(signed, top)
                for query, own in enumerate(positions):
                    for rank, position in enumerate(own.tolist(), start=1):
                        image, score = named["train"][position], scores[query, position]
                        row = [split, names[query], method, side, rank, image, position, score]
                        table.writerow(row)
    return file.getvalue()
