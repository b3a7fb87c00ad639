ruleorder: train_full > train_full_seed


rule train_full:
    """Train the full model of one seed; the one that is explained keeps its checkpoints."""
    input:
        **benchmark.inputs.training(),
    output:
        **benchmark.models.network_files,
        checkpoints=benchmark.models.checkpoint_files,
    log:
        log_path("models", f"full-seed-{benchmark.config.full_model.seed}"),
    # Generated queries and every feature depend on it.
    priority: 10
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("train_full"),
        save_state_every_s=benchmark.config.jobs.save_state_every_s,
    params:
        config=benchmark.params.training(seed=benchmark.config.full_model.seed),
    script:
        "../scripts/train_full.py"


use rule train_full as train_full_seed with:
    output:
        **benchmark.models.full("{seed}"),
        checkpoints=[],
    log:
        log_path("models", "full-seed-{seed}"),
    params:
        config=lambda w: benchmark.params.training(seed=int(w.seed)),


rule train_block:
    """Train the models of one block of subsets with one seed."""
    input:
        **benchmark.inputs.training(),
        subsets=by_wildcards(benchmark.inputs.subsets_of, "group", "block"),
    output:
        (paths.block() if benchmark.config.jobs.keep_models else temp(paths.block())),
    log:
        log_path("models", "{group}", "seed-{seed}", "block-{block}"),
    # The longest jobs first: one that starts last keeps a single core busy at the end.
    priority: 5
    group:
        grouped("train_block")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("train_block"),
        save_state_every_s=benchmark.config.jobs.save_state_every_s,
    params:
        config=lambda w: benchmark.params.training(
            subsets=refused(benchmark.counts.members, w.group, int(w.block)),
            models_per_stack=benchmark.config.jobs.models_per_stack,
        ),
    script:
        "../scripts/train_block.py"
