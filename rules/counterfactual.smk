# Retraining without the images that a method names, and drawing the same queries again. The models
# of one method, side and fraction are a group of subsets, trained by rule train_block.

rule removals:
    """Rank the training images as one method would remove them, for each query drawn again."""
    input:
        scores=paths.scores(split="gen"),
    output:
        paths.removals(),
    log:
        log_path("counterfactual", "removals", "{method}"),
    conda:
        ENVIRONMENT
    resources:
        **asked("removals", paths.removals()),
    params:
        config=benchmark.params(
            "counterfactual",
            queries=benchmark.counts.removal_queries,
        ),
    script:
        "../scripts/removals.py"


for removal in benchmark.counts.removals:
    for block, members in benchmark.counts.blocks(removal.group).items():

        rule:
            name:
                f"subsets_{removal.word}_{block}"
            input:
                removals=paths.removals(removal.method),
            output:
                [paths.subset(removal.group, index) for index in members],
            log:
                log_path("subsets", removal.group, f"block-{block}"),
            # Training waits for it.
            priority: 10
            group:
                grouped("subsets", paths.subset(removal.group, members[0]))
            conda:
                ENVIRONMENT
            resources:
                **asked("subsets", paths.subset(removal.group, members[0])),
            params:
                config=benchmark.params(
                    "counterfactual",
                    queries=benchmark.counts.removal_queries,
                    side=removal.side,
                    members=members,
                    n_removed=benchmark.counts.n_removed(removal.fraction),
                    n_train=benchmark.config.data.n_train,
                ),
            script:
                "../scripts/remaining.py"


rule redraw:
    """Draw the queries of one block again, each by the model trained without its images."""
    input:
        **benchmark.inputs.conditioning("gen"),
        block=paths.block("{removal}"),
        images=paths.images("gen"),
    output:
        paths.outcomes("{removal}"),
    log:
        log_path("{removal}", "seed-{seed}", "block-{block}"),
    group:
        grouped("redraw", paths.outcomes("{removal}"))
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("redraw", paths.outcomes("{removal}")),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params.redrawing(
            queries=[
                benchmark.counts.removal_queries[member]
                for member in refused(benchmark.counts.members, w.removal, int(w.block))
            ],
            pipeline=PIPELINE,
        ),
    script:
        "../scripts/redraw.py"


rule originals:
    """Take the losses of the full model on the queries that are drawn again."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning("gen"),
        images=paths.images("gen"),
    output:
        paths.originals(),
    log:
        log_path("counterfactual", "originals"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("originals", paths.originals()),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params.redrawing(queries=benchmark.counts.removal_queries),
    script:
        "../scripts/originals.py"


rule compare_redrawn:
    """Compare every query with what it became without the images that each method names."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning(None),
        **({"pictures": paths.pictures("gen")} if benchmark.models.captioned else {}),
        images=paths.images("gen"),
        originals=paths.originals(),
        removals=[
            paths.removals(method) for method in benchmark.counterfactual.methods
        ],
        outcomes=benchmark.inputs.outcomes(),
    output:
        paths.counterfactual(),
    log:
        log_path("counterfactual", "result"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("compare_redrawn", paths.counterfactual()),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params.comparison(
            blocks=[
                [benchmark.counts.removal_queries[member] for member in members]
                for members in benchmark.counts.blocks(
                    benchmark.counts.removals[0].group
                ).values()
            ],
            removals=benchmark.counts.removals,
            sizes=[
                (fraction, benchmark.counts.n_removed(fraction))
                for fraction in benchmark.counterfactual.fractions
            ],
        ),
    script:
        "../scripts/compare_redrawn.py"


localrules:
    counterfactual,


rule counterfactual:
    """The counterfactual evaluation."""
    input:
        paths.counterfactual(),
        KEPT_FILES,
