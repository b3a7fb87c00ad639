"""A small benchmark of methods that read more than one model's gradients, and its reports."""

from running import small

SPLITS = ("val", "gen")
REPORT = {
    f"report/{name}"
    for name in (
        *("index.html", "report.json", "lds.txt", "proponents.csv", "queries"),
        *("sweeps.html", "counterfactual.html"),
    )
}


def further_methods(config):
    """Turn the smoke benchmark into one of methods that read more than one model's gradients."""
    small(config)
    config["data"]["n_planted"] = 0
    config["sampling"]["n_images"] = 6
    config["measurement"]["subsets"]["lds"] |= {"count": 3, "seeds": [0]}
    config["measurement"]["subsets"]["retrain"]["count"] = 3
    config["jobs"]["images_per_shard"] = 48
    config["embeddings"] = {"bottleneck": {"kind": "bottleneck", "options": {"n_timesteps": 2}}}
    on_loss = {"features": "t4/loss"}
    config["methods"] = {
        "random": {"method": "random"},
        "trak-4": {"method": "trak", **on_loss},
        "tracin-4": {"method": "tracin", **on_loss, "checkpoints": [0.5, 1.0]},
        "trak-4-half": {"method": "trak", **on_loss, "ensemble": {"of": "retrain", "count": 1}},
        "empirical-influence": {"method": "empirical-influence"},
        "journey-trak-4": {"method": "journey-trak", **on_loss},
    }
    config["measurement"]["lds"] |= {
        "also_measured": ["weighted-mse", "l1-norm"],
        "query_lists": {"some": {"split": "gen", "queries": [0, 3]}},
    }
    # k = 256 is pass t4.
    config["sweeps"] = {"projections": {"method": "trak", **on_loss, "over": {"k": [64, 256]}}}
    config["counterfactual"] = {
        "n_queries": 2,
        "methods": ["random", "trak-4"],
        "fractions": [0.1, 0.25],
        "retrain": [0.25],
        "opponents": False,
        "seeds": [42],
        "embeddings": ["bottleneck"],
    }
