# One rule per seed: only the full model that is asked about leaves checkpoints.
for number, seed in enumerate(benchmark.models.full_seeds):

    rule:
        name:
            f"train_full_{number}"
        input:
            **benchmark.inputs.training(),
        output:
            **benchmark.models.files(seed_model(seed)),
            checkpoints=benchmark.models.checkpoint_files if number == 0 else [],
        log:
            log_path("models", f"full-seed-{seed}"),
        # Generated queries and every feature wait for it.
        priority: 10
        conda:
            ENVIRONMENT
        threads: benchmark.config.jobs.threads
        resources:
            **asked("train_full", benchmark.models.files(seed_model(seed))["network"]),
            save_state_every_s=benchmark.config.jobs.save_state_every_s,
        params:
            config=benchmark.params.training(seed=seed),
        script:
            "../scripts/train_full.py"


rule train_block:
    """Train the models of one block of subsets with one seed."""
    input:
        **benchmark.inputs.training(),
        subsets=lambda w: [
            paths.subset(w.group, index) for index in subsets_of_block(w)
        ],
    output:
        (paths.block() if benchmark.config.jobs.keep_models else temp(paths.block())),
    log:
        log_path("models", "{group}", "seed-{seed}", "block-{block}"),
    # The longest jobs first: one that is left to the end keeps a single core busy.
    priority: 5
    group:
        grouped("train_block", paths.block())
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("train_block", paths.block()),
        save_state_every_s=benchmark.config.jobs.save_state_every_s,
    params:
        config=lambda w: benchmark.params.training(
            subsets=subsets_of_block(w),
            models_per_stack=benchmark.config.jobs.models_per_stack,
        ),
    script:
        "../scripts/train_block.py"
