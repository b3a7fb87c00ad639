rule subsets:
    """Draw the subsets of one block."""
    input:
        labels=paths.labels("train"),
    output:
        paths.subsets(),
    log:
        log_path("subsets", "{group}", "block-{block}"),
    wildcard_constraints:
        group="lds|retrain",
    # Training depends on it.
    priority: 10
    group:
        grouped("subsets")
    conda:
        ENVIRONMENT
    resources:
        **requested("subsets"),
    params:
        config=lambda w: benchmark.params(
            "subsets",
            group=w.group,
            members=refused(benchmark.counts.members, w.group, int(w.block)),
            fraction=benchmark.counts.group(w.group).fraction,
            seed=benchmark.config.seed,
            split=benchmark.config.data.split,
        ),
    script:
        "../scripts/subsets.py"
