rule data:
    """Draw training, val and planted images from the data set."""
    output:
        **{
            f"{split}_{kind}": place(split)
            for split in ("train", "val", "planted")
            for kind, place in {
                "indices": paths.indices,
                "images": benchmark.pictures,
                "labels": paths.labels,
            }.items()
        },
    log:
        log_path("data"),
    conda:
        ENVIRONMENT
    resources:
        **asked("data", paths.images("train")),
    params:
        config=benchmark.params(
            "data",
            data=benchmark.config.data,
            seed=benchmark.config.seed,
            # Named only where they are, so that the params of other benchmarks stay as they are.
            **({"eight_bit": True} if benchmark.captioned else {}),
            **benchmark.plugins("data-sources", benchmark.config.data.source),
        ),
    script:
        "../scripts/data.py"


# One rule per block, since a rule's number of outputs is fixed and the last block may be shorter.
for group in ("lds", "retrain"):
    for block, members in benchmark.blocks(group).items():

        rule:
            name:
                f"subsets_{group}_{block}"
            input:
                labels=paths.labels("train"),
            output:
                [paths.subset(group, index) for index in members],
            log:
                log_path("subsets", group, f"block-{block}"),
            # Training waits for it.
            priority: 10
            group:
                grouped("subsets", paths.subset(group, members[0]))
            conda:
                ENVIRONMENT
            resources:
                **asked("subsets", paths.subset(group, members[0])),
            params:
                config=benchmark.params(
                    "subsets",
                    group=group,
                    members=members,
                    fraction=benchmark.group(group).fraction,
                    seed=benchmark.config.seed,
                ),
            script:
                "../scripts/subsets.py"
