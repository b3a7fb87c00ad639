rule generate:
    """Generate the queries of split gen from the full model."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning(None),
        **({"classes": paths.classes()} if benchmark.models.text_conditioned else {}),
    output:
        **(
            {"images": paths.images("gen"), "labels": paths.labels("gen")}
            if benchmark.models.text_conditioned
            else {}
        ),
        samples=paths.samples("gen"),
        ids=paths.indices("gen"),
        folder=directory(paths("images", "gen")),
    log:
        log_path("samples", "gen"),
    priority: 10
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("generate"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params.sampling(pipeline=PIPELINE),
    script:
        "../scripts/generate.py"


rule trajectories:
    """Record the sampling trajectories of the generated queries, for methods that use them."""
    input:
        **benchmark.models.network_files,
        **benchmark.inputs.conditioning("gen"),
    output:
        paths.trajectories(),
    log:
        log_path("samples", "trajectories"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("trajectories"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params.sampling(),
    script:
        "../scripts/trajectories.py"
