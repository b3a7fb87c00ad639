"""Every number of the report, gathered from the artifacts into one JSON value.

Page, figures and text table are made from this value alone, so none of them can show a number that
is not in `report.json`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from diffattr.artifacts import ArtifactError, read_array, read_arrays, read_json
from diffattr.benchmark import LDS_SPLITS, Benchmark
from diffattr.benchmark.methods import PlannedMethod
from diffattr.evaluation.planted import planted_truth
from diffattr.report import comparison, cost, method_cost, published, sweeps

TOLERANCE = 1e-4
"""Largest relative error at which features count as independent of batch size and order: float32
sums over some hundred timesteps in another order differ by up to some 1e-5."""


def gather(benchmark: Benchmark, roots: Iterable[str]) -> dict[str, Any]:
    """Return all that the report says about a benchmark, whose artifacts exist.

    `roots` are the artifacts that the report is made from: they and all they descend from are
    counted in costs and provenance.
    """
    config, paths = benchmark.written, benchmark.paths
    everything = {
        split: {
            name: read_json(paths.lds(name, split))
            for name in benchmark.methods
            if split in benchmark.splits.lds_of(name)
        }
        for split in LDS_SPLITS
    }
    results = {
        split: {name: everything[split][name] for name in benchmark.splits.methods_of(split)}
        for split in LDS_SPLITS
    }
    lds = [_lds(split, results[split], benchmark) for split in LDS_SPLITS]
    planted = planted_ranks(benchmark) if config.data.n_planted else None
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
        "claim": _claim(lds),
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
            read_json(paths.counterfactual()) if config.counterfactual is not None else None
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


def _lds(split: str, results: Mapping[str, Any], benchmark: Benchmark) -> dict[str, Any]:
    """Return one split's table (best method first) and comparisons."""
    ranking = sorted(results, key=lambda name: (-results[name]["lds"], name))
    best, first = ranking[0], results[ranking[0]]
    confidence = benchmark.config.measurement.lds.confidence

    def compared(method: str, baseline: str) -> dict[str, Any]:
        return comparison.difference(results, method, baseline, confidence)

    return {
        "split": split,
        "n_subsets": first["n_subsets"],
        "n_queries": first["n_queries"],
        "ceiling": first["ceiling"],
        "methods": [_row(benchmark, name, split, results[name]) for name in ranking],
        "best": best,
        "sole_best": {
            needs: comparison.sole_best(results, names, confidence)
            for needs, names in _by_needs(benchmark, ranking).items()
        },
        "pairs": comparison.pairs(results, ranking, confidence),
        "to_best": [compared(name, best) for name in ranking[1:]],
        "d_trak": [
            {
                **compared(d_trak.name, trak.name),
                "passes": [d_trak.gradient_pass, trak.gradient_pass],
                "oracle_difference": results[d_trak.name]["oracle"]["lds"]
                - results[trak.name]["oracle"]["lds"],
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
        audit = read_json(benchmark.paths.audit(name, split))
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


def _d_trak_pairs(benchmark: Benchmark) -> list[tuple[PlannedMethod, PlannedMethod]]:
    """Return each D-TRAK with each TRAK at the same models and noise, on as many timesteps or more.

    The paper's claims: D-TRAK is better on the same pass, and with 10 timesteps than TRAK with 100.
    """
    methods = [benchmark.methods[name] for name in benchmark.splits.named]
    passes = benchmark.config.features

    def comparable(d_trak: PlannedMethod, trak: PlannedMethod) -> bool:
        ours, theirs = passes[d_trak.feature_set[0]], passes[trak.feature_set[0]]
        same = msgspec.structs.replace(
            theirs, n_timesteps=ours.n_timesteps, output_functions=ours.output_functions
        )
        return (
            d_trak.models == trak.models and ours == same and ours.n_timesteps <= theirs.n_timesteps
        )

    return [
        (d_trak, trak)
        for d_trak in methods
        for trak in methods
        if (d_trak.kind, trak.kind) == ("d-trak", "trak") and comparable(d_trak, trak)
    ]


def _claim(lds: list[dict[str, Any]]) -> dict[str, int]:
    """Return in how many comparisons D-TRAK is higher than TRAK, lower, or neither."""
    verdicts = [pair["verdict"] for table in lds for pair in table["d_trak"]]
    return {verdict: verdicts.count(verdict) for verdict in ("higher", "lower", "undecided")}


def planted_ranks(benchmark: Benchmark) -> dict[str, Any]:
    """Return the ranks of the planted queries' copies, best method first."""
    paths = benchmark.paths
    train, queries = read_array(paths.indices("train")), read_array(paths.indices("planted"))
    copies = copy_positions(train, queries)
    rows = []
    for name in benchmark.splits.methods_of("planted"):
        store = read_arrays(paths.scores(name, "planted"))
        truth = planted_truth(store["scores"], copies)
        rows.append(
            {
                "name": name,
                "lambda": store.attribute("lambda"),
                "recall_at_1": truth.recall_at_1,
                "mean_rank": truth.mean_rank,
                "ranks": truth.ranks.tolist(),
            }
        )
    return {
        "n_queries": len(queries),
        "copies": copies.tolist(),
        "chance": {"recall_at_1": 1 / len(train), "mean_rank": (len(train) + 1) / 2},
        "methods": sorted(rows, key=lambda row: (row["mean_rank"], row["name"])),
    }


def copy_positions(
    train: Int64[np.ndarray, " train"], queries: Int64[np.ndarray, " query"]
) -> Int64[np.ndarray, " query"]:
    """Return where in the training set each planted query's copy stands.

    Raises:
        ArtifactError: a query is not in the training set.
    """
    order = np.argsort(train)
    found = order[np.searchsorted(train, queries, sorter=order).clip(max=len(train) - 1)]
    if (missing := queries[train[found] != queries]).size:
        raise ArtifactError(
            f"indices/planted.npy: image {missing[0]} of the data set is not in indices/train.npy,"
            " though every planted image is part of the training set; remake both:"
            " snakemake --forcerun data"
        )
    return found


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
                "passed": error <= TOLERANCE,
            }


def _controls(benchmark: Benchmark, lds: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield the LDS of the methods that know nothing, which should not differ from zero."""
    for table in lds:
        for row in table["methods"]:
            if benchmark.config.methods[row["name"]].method == "random":
                low, high = row["interval"]
                yield {
                    "split": table["split"],
                    "name": row["name"],
                    "lds": row["lds"],
                    "interval": row["interval"],
                    "passed": low <= 0 <= high,
                }
