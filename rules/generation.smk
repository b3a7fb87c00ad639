rule generate:
    """Generate the queries of split gen from the full model."""
    input:
        **benchmark.network_files,
        **benchmark.told(None),
        **({"classes": paths.classes()} if benchmark.captioned else {}),
    output:
        **(
            {"pictures": paths.pictures("gen"), "labels": paths.labels("gen")}
            if benchmark.captioned
            else {}
        ),
        images=paths.images("gen"),
        ids=paths.indices("gen"),
        folder=directory(paths("images", "gen")),
    log:
        log_path("images", "gen"),
    priority: 10
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("generate"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=benchmark.params(
            "sampling",
            noise_schedule=benchmark.config.noise_schedule,
            sampling=benchmark.config.sampling,
            seed=benchmark.config.seed,
            **PIPELINE,
        ),
    script:
        "../scripts/generate.py"
