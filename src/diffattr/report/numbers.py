"""Planted truth of every method."""

from typing import Any

import numpy as np
from jaxtyping import Int64

from diffattr.artifacts import ArtifactError, read_array, read_arrays
from diffattr.benchmark import Benchmark
from diffattr.evaluation.planted import planted_truth


def planted_ranks(benchmark: Benchmark) -> dict[str, Any]:
    """Return the ranks of the planted queries' copies, best method first."""
    paths = benchmark.paths
    train, queries = read_array(paths.indices("train")), read_array(paths.indices("planted"))
    copies = copy_positions(train, queries)
    rows = []
    for name in benchmark.methods_of("planted"):
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
