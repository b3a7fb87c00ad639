rule losses:
    """Evaluate the models of one block on the queries of one split."""
    input:
        unpack(lambda w: benchmark.told(w.split)),
        block=paths.block(),
        images=paths.images(),
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
        **asked("losses"),
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
    """Gather one measured quantity from the loss tables of all blocks, averaged over timesteps."""
    input:
        lambda w: [
            paths.losses(w.group, seed, block, w.split)
            for seed in benchmark.group(w.group).seeds
            for block in benchmark.blocks(w.group)
        ],
    output:
        paths.measurements(quantity="{quantity}"),
    log:
        log_path("measurements", "{group}", "{quantity}", "{split}"),
    group:
        grouped("measurements")
    conda:
        ENVIRONMENT
    resources:
        **asked("measurements"),
    params:
        config=lambda w: benchmark.params(
            "measurements",
            seeds=benchmark.group(w.group).seeds,
            n_blocks=len(benchmark.blocks(w.group)),
            quantity=w.quantity,
            n_timesteps=benchmark.config.losses.n_timesteps,
            noise_schedule=benchmark.config.noise_schedule,
        ),
    script:
        "../scripts/measurements.py"
