# Retraining without the images that a method names, and drawing the same queries again. The subsets
# that remain for one method, side and fraction are a group; rule train_block trains its models.

from diffattr.counterfactual.removals import Removal


rule removals:
    """Order the training images by one method's scores, for each query that is drawn again."""
    input:
        scores=paths.scores(split="gen"),
    output:
        paths.removals(),
    log:
        log_path("counterfactual", "removals", "{method}"),
    conda:
        ENVIRONMENT
    resources:
        **requested("removals"),
    params:
        config=benchmark.params(
            "counterfactual",
            queries=benchmark.counts.removal_queries,
        ),
    script:
        "../scripts/removals.py"


rule remaining:
    """Remove one method's images from the training set, for each query of one block."""
    input:
        removals=lambda w: paths.removals(Removal.of(w.removal).method),
    output:
        paths.subsets("{removal}"),
    log:
        log_path("subsets", "{removal}", "block-{block}"),
    # Training depends on it.
    priority: 10
    group:
        grouped("remaining")
    conda:
        ENVIRONMENT
    resources:
        **requested("remaining"),
    params:
        config=lambda w: benchmark.params(
            "counterfactual",
            queries=benchmark.counts.removal_queries,
            side=Removal.of(w.removal).side,
            members=refused(benchmark.counts.members, w.removal, int(w.block)),
            n_removed=benchmark.counts.n_removed(Removal.of(w.removal).fraction),
            n_train=benchmark.config.data.n_train,
        ),
    script:
        "../scripts/remaining.py"


rule redraw:
    """Draw the queries of one block again, each by the model trained without its images."""
    input:
        **benchmark.inputs.conditioning("gen"),
        block=paths.block("{removal}"),
        samples=paths.samples("gen"),
    output:
        paths.outcomes("{removal}"),
    log:
        log_path("{removal}", "seed-{seed}", "block-{block}"),
    group:
        grouped("redraw")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("redraw"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params.redrawing(
            queries=[
                benchmark.counts.removal_queries[member]
                for member in refused(
                    benchmark.counts.members, w.removal, int(w.block)
                )
            ],
            pipeline=PIPELINE,
        ),
    script:
        "../scripts/redraw.py"


rule originals:
    """Compute the losses of the full model on the queries that are drawn again."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning("gen"),
        samples=paths.samples("gen"),
    output:
        paths.originals(),
    log:
        log_path("counterfactual", "originals"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("originals"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params.redrawing(queries=benchmark.counts.removal_queries),
    script:
        "../scripts/originals.py"


rule compare_redrawn:
    """Compare every query with its redrawn images, for each method."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning(None),
        **({"images": paths.images("gen")} if benchmark.models.text_conditioned else {}),
        samples=paths.samples("gen"),
        originals=paths.originals(),
        removals=[paths.removals(method) for method in benchmark.counterfactual.methods],
        outcomes=benchmark.inputs.outcomes(),
    output:
        paths.counterfactual(),
    log:
        log_path("counterfactual", "result"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("compare_redrawn"),
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
