rule losses:
    """Evaluate the models of one block on the queries of one split."""
    input:
        unpack(by_wildcards(benchmark.inputs.conditioning, "split")),
        block=paths.block(),
        samples=paths.samples(),
        ids=paths.indices(),
    output:
        paths.losses(),
    log:
        log_path("losses", "{group}", "seed-{seed}", "block-{block}", "{split}"),
    group:
        grouped("losses")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("losses"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params(
            "losses",
            noise_schedule=benchmark.config.noise_schedule,
            losses=benchmark.measurement.losses,
            seed=benchmark.config.seed,
            functions=benchmark.models.evaluated(w.group),
            plugins=benchmark.params.plugins(
                "output-functions", *benchmark.models.evaluated(w.group)
            ),
        ),
    script:
        "../scripts/losses.py"


rule measurements:
    """Collect one measured quantity from all blocks, averaged over timesteps."""
    input:
        by_wildcards(benchmark.inputs.losses, "group", "split"),
    output:
        paths.measurements(quantity="{quantity}"),
    log:
        log_path("measurements", "{group}", "{quantity}", "{split}"),
    group:
        grouped("measurements")
    conda:
        ENVIRONMENT
    resources:
        **requested("measurements"),
    params:
        config=lambda w: benchmark.params(
            "measurements",
            seeds=benchmark.counts.group(w.group).seeds,
            n_blocks=len(benchmark.counts.blocks(w.group)),
            quantity=w.quantity,
            n_timesteps=benchmark.measurement.losses.n_timesteps,
            noise_schedule=benchmark.config.noise_schedule,
        ),
    script:
        "../scripts/measurements.py"
