rule losses:
    """Evaluate the models of one block on the queries of one split."""
    input:
        block=paths.block(),
        images=paths.images(),
        ids=paths.indices(),
    output:
        paths.losses(),
    log:
        log_path("losses", "{group}", "seed-{seed}", "block-{block}", "{split}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(HEAVY_MB),
        gpu=benchmark.config.jobs.gpus,
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params(
            "losses",
            noise_schedule=benchmark.config.noise_schedule,
            losses=benchmark.config.losses,
            seed=benchmark.config.seed,
            # Named only where it is asked for: loss tables without it stay as they are.
            **({"with_squares": True} if benchmark.with_squares(w.group) else {}),
        ),
    script:
        "../scripts/losses.py"


rule measurements:
    """Gather the loss tables of all blocks, averaged over timesteps, for each measured quantity."""
    input:
        lambda w: [
            paths.losses(w.group, seed, block, w.split)
            for seed in benchmark.group(w.group).seeds
            for block in benchmark.blocks(w.group)
        ],
    output:
        paths.measurements(),
    log:
        log_path("measurements", "{group}", "{split}"),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=grown(LIGHT_MB),
    params:
        config=lambda w: benchmark.params(
            "measurements",
            seeds=benchmark.group(w.group).seeds,
            n_blocks=len(benchmark.blocks(w.group)),
            quantities=benchmark.quantities(w.group),
            n_timesteps=benchmark.config.losses.n_timesteps,
            noise_schedule=benchmark.config.noise_schedule,
        ),
    script:
        "../scripts/measurements.py"
