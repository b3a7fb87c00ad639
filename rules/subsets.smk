# One rule per block, since a rule's number of outputs is fixed and the last block may be shorter.
for group in ("lds", "retrain"):
    for block, members in benchmark.counts.blocks(group).items():

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
                    fraction=benchmark.counts.group(group).fraction,
                    seed=benchmark.config.seed,
                    split=benchmark.config.data.split,
                ),
            script:
                "../scripts/subsets.py"
