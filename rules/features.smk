rule features:
    """Take the projected gradients of one shard of images, for all output functions of a pass."""
    input:
        **benchmark.network_files,
        images=paths.images(),
        ids=paths.indices(),
    output:
        paths.features(),
    log:
        log_path("features", "{gradient_pass}", "full", "{split}", "{shard}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(HEAVY_MB),
        gpu=benchmark.config.jobs.gpus,
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: feature_params(w, images=benchmark.shards(w.split)[w.shard]),
    script:
        "../scripts/features.py"


rule check_features:
    """Take the features of a few images again, one timestep at a time and in another order."""
    input:
        **benchmark.network_files,
        images=paths.images("train"),
        ids=paths.indices("train"),
        shard=paths.features(split="train", shard="0000"),
    output:
        paths.check(),
    log:
        log_path("checks", "{gradient_pass}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(HEAVY_MB),
        gpu=benchmark.config.jobs.gpus,
    params:
        config=lambda w: feature_params(w),
    script:
        "../scripts/check_features.py"


rule kernel:
    """Decompose the Gram matrix of one feature set, once for all methods and every lambda."""
    input:
        lambda w: benchmark.shard_paths(w.gradient_pass, "train"),
    output:
        paths.kernel(),
    log:
        log_path("kernels", "{gradient_pass}", "{output_function}", "full"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(LIGHT_MB),
    params:
        config=lambda w: benchmark.params(
            "attribution", output_function=w.output_function
        ),
    script:
        "../scripts/kernel.py"
