"""Sweeps: every cell's values and what came out of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from diffattr.benchmark import Benchmark
from diffattr.benchmark.sweeps import axes_of


def sweep_numbers(
    benchmark: Benchmark,
    results: Mapping[str, Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, Any]],
) -> Iterable[dict[str, Any]]:
    """Yield each sweep with its axes and cells; `results` are LDS artifacts by split and method."""
    for name, sweep in benchmark.written.sweeps.items():
        cells = []
        for cell in benchmark.cells:
            if cell.sweep != name:
                continue
            method = benchmark.methods[cell.method]
            taken = benchmark.config.features[method.feature_set[0]]
            splits = benchmark.splits.lds_of(cell.method)
            cells.append(
                {
                    "method": cell.method,
                    "values": cell.values,
                    "gradients_per_image": taken.n_timesteps * taken.draws,
                    "seconds": costs[cell.method]["seconds"],
                    "splits": {
                        split: _of_cell(results[split][cell.method], sweep.over.lam or ())
                        for split in splits
                    },
                }
            )
        yield {
            "name": name,
            "method": sweep.method,
            "features": sweep.features,
            "axes": {axis: list(values) for axis, values in axes_of(sweep).items()},
            "lambdas": list(sweep.over.lam or ()),
            "cells": cells,
        }


def _of_cell(result: Mapping[str, Any], lambdas: Iterable[float]) -> dict[str, Any]:
    curve = dict(zip(map(str, result["curve"]["lambdas"]), result["curve"]["lds"], strict=True))
    return {
        "lds": result["lds"],
        "interval": result["interval"]["both"],
        "selected_lambda": result["selected"]["lambda"],
        "oracle_lambda": result["oracle"]["lambda"],
        "oracle_lds": result["oracle"]["lds"],
        "at_lambda": {str(lam): curve[str(lam)] for lam in lambdas},
    }
