"""The cost of each method by itself, from records made up by hand."""

from changed_config import benchmark

from diffattr.report.cost import MethodCost, method_costs

METHODS = {
    "trak": {"method": "trak", "features": "t4/loss"},
    "pixels": {"method": "pixel-dot"},
    "first-four": {"method": "empirical-influence", "models": 4},
    "first-five": {"method": "empirical-influence", "models": 5},
}


def record(rule, seconds, inputs=(), **wildcards):
    return {
        "rule": rule,
        "started": "2026-01-01T00:00:00",
        "wildcards": wildcards,
        "seconds": seconds,
        "inputs": dict.fromkeys(inputs, "digest"),
    }


def test_a_method_costs_what_it_needs_beyond_data_full_model_and_queries():
    smoke = benchmark(
        {
            "methods": METHODS,
            "measurement.subsets.retrain": {"count": 8, "fraction": 0.5, "seeds": [2]},
            "jobs.models_per_block": 4,
        }
    )
    paths = smoke.paths
    train, network = paths.samples("train"), smoke.models.network_files["network"]
    records = {train: record("data", 1), network: record("train_full", 2, [train])}
    losses = [paths.losses("retrain", 2, block, "val") for block in (0, 1)]
    for block, path in enumerate(losses):
        model = paths.block("retrain", 2, block)
        of_block = {"group": "retrain", "seed": "2", "block": str(block)}
        subsets = paths.subsets("retrain", block)
        records[subsets] = record("subsets", 5, group="retrain", block=str(block))
        records[model] = record("train_block", 100, [train, subsets], **of_block)
        records[path] = record("losses", 10, [model], split="val", **of_block)
    measured = paths.measurements("retrain", "val")
    records[measured] = record("measurements", 0.25, losses, group="retrain", split="val")
    features = paths.features("t4", "train", "0000", "full")
    records[features] = record("features", 30, [network, train], source="train")
    inputs = {"trak": [features], "pixels": [train], "first-four": [measured]}
    for name in METHODS:
        path = paths.predictions(name, "val")
        own = inputs.get(name, [measured])
        records[path] = record("predictions", 0.5, own, method=name, split="val")
    costs = method_costs(smoke, records)
    assert costs["pixels"] == MethodCost(seconds=0.5, jobs=1)
    assert costs["trak"] == MethodCost(seconds=30.5, jobs=2)
    assert costs["first-four"] == MethodCost(seconds=110.75, jobs=4)
    assert costs["first-five"] == MethodCost(seconds=220.75, jobs=6)


def test_a_method_without_predictions_has_no_cost():
    assert method_costs(benchmark(), {})["trak-4"] == MethodCost(seconds=None, jobs=0)
