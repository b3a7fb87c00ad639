"""Every number of the report, gathered from the artifacts into one JSON value.

Page, figures and text table are made from this value alone, so none of them can show a number that
is not in `report.json`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float32, UInt8

from diffattr.artifacts import read_array, read_arrays, read_json, read_struct
from diffattr.benchmark import LDS_SPLITS, Benchmark
from diffattr.counterfactual.result import Result
from diffattr.evaluation import comparison
from diffattr.evaluation.controls import TOLERANCE, is_chance, is_invariant
from diffattr.evaluation.planted import Planted
from diffattr.evaluation.powers import Bent
from diffattr.evaluation.result import LdsResult
from diffattr.report import cost, method_cost, published, sweeps


def gather(benchmark: Benchmark, roots: Iterable[str]) -> dict[str, Any]:
    """Return all that the report says about a benchmark, whose artifacts exist.

    `roots` are the artifacts that the report is made from: they and all they descend from are
    counted in costs and provenance.
    """
    config, paths = benchmark.written, benchmark.paths
    read = {
        split: {
            name: read_struct(paths.lds(name, split), LdsResult)
            for name in benchmark.methods
            if split in benchmark.splits.lds_of(name)
        }
        for split in LDS_SPLITS
    }
    everything = plain(read)
    results = {
        split: {name: everything[split][name] for name in benchmark.splits.methods_of(split)}
        for split in LDS_SPLITS
    }
    lds = [_lds(split, results[split], read[split], benchmark) for split in LDS_SPLITS]
    planted = planted_truth(benchmark)
    roots = list(roots)
    records = cost.lineage(cost.read_records(paths.root), roots)
    method_costs = method_cost.method_costs(benchmark, records)
    return {
        "name": config.name,
        "config": msgspec.json.decode(msgspec.json.encode(config)),
        "n_train": config.data.n_train,
        "n_subsets": config.measurement.subsets.lds.count,
        "n_seeds": len(config.measurement.subsets.lds.seeds),
        "confidence": config.measurement.lds.confidence,
        "methods": [
            {**method_row(benchmark, name), "cost": method_costs[name]}
            for name in benchmark.splits.named
        ],
        "lds": lds,
        "claim": plain(
            comparison.tally(pair["verdict"] for table in lds for pair in table["d_trak"])
        ),
        "published": published.beside(benchmark, everything),
        "planted": planted,
        "queries": [
            shown_queries(benchmark, split, results.get(split), planted)
            for split in benchmark.splits.queries
        ],
        "checks": list(checks_of(benchmark)),
        "controls": list(_controls(benchmark, lds)),
        "measured": list(config.measurement.lds.also_measured),
        "query_lists": {
            name: {"split": listed.split, "n_queries": len(listed.queries)}
            for name, listed in config.measurement.lds.query_lists.items()
        },
        "sweeps": list(sweeps.sweep_numbers(benchmark, everything, method_costs)),
        "counterfactual": (
            plain(read_struct(paths.counterfactual(), Result))
            if config.counterfactual is not None
            else None
        ),
        "costs": cost.costs(records),
        "origin": cost.origin(records, roots),
    }


def redrawn_images(
    benchmark: Benchmark,
) -> dict[str, Float32[np.ndarray, "query c h w"] | UInt8[np.ndarray, "query c h w"]]:
    """Return what each removal made of the chosen queries, with the first training seed."""
    images, name = {}, "images" if benchmark.models.captioned is None else "pictures"
    for number, removal in enumerate(benchmark.counts.removals):
        seed = benchmark.counts.group(removal.group).seeds[0]
        stores = [
            read_arrays(benchmark.paths.outcomes(removal.group, seed, block))
            for block in benchmark.counts.blocks(removal.group)
        ]
        images[f"redrawn-{number}"] = np.concatenate([store[name] for store in stores])
    return images


def method_row(benchmark: Benchmark, name: str) -> dict[str, Any]:
    """Return what a method of the config stands for."""
    options = benchmark.config.methods[name]
    method = benchmark.methods[name]
    n_gradients = None
    if method.gradient_pass is not None:
        taken = benchmark.config.features[method.gradient_pass]
        n_gradients = taken.n_timesteps * taken.draws * len(method.models)
    return {
        "name": name,
        "method": options.method,
        "needs": method.needs,
        "features": options.features,
        "gradient_pass": method.gradient_pass,
        "output_function": method.output_function,
        "models": list(method.models),
        "n_retrained": method.n_retrained,
        "gradients_per_image": n_gradients,
        "has_lambda": method.has_lambda,
    }


def plain(value: Any) -> Any:
    """Return typed values as JSON values."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _lds(
    split: str,
    results: Mapping[str, Any],
    read: Mapping[str, LdsResult],
    benchmark: Benchmark,
) -> dict[str, Any]:
    """Return one split's table (best method first) and comparisons."""
    ranking = sorted(results, key=lambda name: (-results[name]["lds"], name))
    best, first = ranking[0], results[ranking[0]]
    confidence = benchmark.config.measurement.lds.confidence

    def compared(method: str, baseline: str) -> dict[str, Any]:
        return plain(comparison.difference(read, method, baseline, confidence))

    return {
        "split": split,
        "n_subsets": first["n_subsets"],
        "n_queries": first["n_queries"],
        "ceiling": first["ceiling"],
        "methods": [_row(benchmark, name, split, results[name]) for name in ranking],
        "best": best,
        "sole_best": {
            needs: comparison.sole_best(read, names, confidence)
            for needs, names in _by_needs(benchmark, ranking).items()
        },
        "pairs": plain(comparison.pairs(read, ranking, confidence)),
        "to_best": [compared(name, best) for name in ranking[1:]],
        "d_trak": [
            {
                **compared(d_trak, trak),
                "passes": [benchmark.methods[name].gradient_pass for name in (d_trak, trak)],
                "oracle_difference": read[d_trak].oracle.lds - read[trak].oracle.lds,
            }
            for d_trak, trak in _d_trak_pairs(benchmark)
        ],
    }


def _by_needs(benchmark: Benchmark, names: Iterable[str]) -> dict[str, list[str]]:
    """Return methods by what they need, in the order of `names`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(benchmark.methods[name].needs, []).append(name)
    return groups


def _row(benchmark: Benchmark, name: str, split: str, result: Mapping[str, Any]) -> dict[str, Any]:
    method = benchmark.methods[name]
    audit = None
    if benchmark.config.measurement.lds.powers:
        audit = plain(read_struct(benchmark.paths.audit(name, split), list[Bent]))
    return {
        "name": name,
        "needs": method.needs,
        "lds": result["lds"],
        "interval": result["interval"]["both"],
        "of_bound": result["of_bound"],
        "selected_lambda": result["selected"]["lambda"],
        "oracle_lambda": result["oracle"]["lambda"],
        "oracle_lds": result["oracle"]["lds"],
        "curve": result["curve"] if method.has_lambda else None,
        "per_query": result["per_query"],
        "measured": result["measured"],
        "query_lists": result["query_lists"],
        "audit": audit,
    }


def _d_trak_pairs(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return the names of each D-TRAK and a TRAK that it may be compared with."""
    methods = {name: benchmark.methods[name] for name in benchmark.splits.named}
    return comparison.d_trak_pairs(
        {
            name: comparison.OnGradients(
                kind=method.kind,
                models=method.models,
                gradient_pass=benchmark.config.features[method.gradient_pass],
            )
            for name, method in methods.items()
            if method.gradient_pass is not None
        }
    )


def planted_truth(benchmark: Benchmark) -> dict[str, Any] | None:
    """Return the ranks of the planted queries' copies, None where none are planted."""
    if not benchmark.config.data.n_planted:
        return None
    return plain(read_struct(benchmark.paths.planted(), Planted))


def shown_queries(
    benchmark: Benchmark,
    split: str,
    results: Mapping[str, Any] | None,
    planted: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the queries of one split that a page shows, with every method's extreme scores.

    `results` are the split's LDS artifacts by method, None where queries have no measurements.
    """
    paths, config = benchmark.paths, benchmark.config
    ids = read_array(paths.indices(split))
    labels = read_array(paths.labels(split)) if benchmark.inputs.has_labels(split) else None
    train_ids = read_array(paths.indices("train")).tolist()
    train_labels = read_array(paths.labels("train")).tolist()
    copies, ranks = None, {}
    if planted is not None and split == "planted":
        copies = planted["copies"]
        ranks = {row["name"]: row["ranks"] for row in planted["methods"]}
    queries: list[dict[str, Any]] = [
        {
            "index": query,
            "id": int(ids[query]),
            "label": None if labels is None else int(labels[query]),
            "methods": [],
        }
        for query in evenly_spaced(len(ids), config.report.queries)
    ]
    for name in benchmark.splits.methods_of(split):
        scores = read_arrays(paths.scores(name, split))["scores"]
        for shown in queries:
            query = shown["index"]
            own = scores[query].tolist()
            extremes = {
                "proponents": np.argsort(-scores[query], kind="stable").tolist(),
                "opponents": np.argsort(scores[query], kind="stable").tolist(),
            }
            shown["methods"].append(
                {
                    "name": name,
                    "lds": None if results is None else results[name]["per_query"][query],
                    "copy_rank": None if copies is None else ranks[name][query],
                    **{
                        side: [
                            {
                                "train": position,
                                "id": train_ids[position],
                                "label": train_labels[position],
                                "score": own[position],
                                "is_copy": copies is not None and position == copies[query],
                            }
                            for position in positions[: config.report.top]
                        ]
                        for side, positions in extremes.items()
                    },
                }
            )
    return {"split": split, "n_queries": len(ids), "queries": queries}


def evenly_spaced(n: int, count: int) -> list[int]:
    """Return up to `count` distinct positions below n, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int)).tolist()


def checks_of(benchmark: Benchmark) -> Iterable[dict[str, Any]]:
    """Yield how far features depend on batch size and order, by pass and output function."""
    for gradient_pass in benchmark.passes.used:
        check = read_json(benchmark.paths.check(gradient_pass))
        for output_function, error in check["largest_relative_error"].items():
            yield {
                "gradient_pass": gradient_pass,
                "output_function": output_function,
                "n_images": check["n_images"],
                "largest_relative_error": error,
                "tolerance": TOLERANCE,
                "passed": is_invariant(error),
            }


def _controls(benchmark: Benchmark, lds: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield the LDS of the methods that know nothing, which should not differ from zero."""
    for table in lds:
        for row in table["methods"]:
            if benchmark.config.methods[row["name"]].method == "random":
                yield {
                    "split": table["split"],
                    "name": row["name"],
                    "lds": row["lds"],
                    "interval": row["interval"],
                    "passed": is_chance(row["interval"]),
                }
