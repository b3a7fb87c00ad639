rule embed:
    """Embed the images of one split, without gradients."""
    input:
        unpack(by_wildcards(benchmark.inputs.embedding, "embedding", "split")),
    output:
        paths.embedding(),
    log:
        log_path("embeddings", "{embedding}", "{split}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("embed"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params(
            "embeddings",
            embedding=benchmark.config.embeddings[w.embedding],
            noise_schedule=benchmark.config.noise_schedule,
            seed=benchmark.config.seed,
        ),
    script:
        "../scripts/embed.py"


rule curvature:
    """Fit the EK-FAC of one model: an eigenbasis of its gradients, and the curvature along it."""
    input:
        unpack(by_wildcards(benchmark.models.files, "model")),
        samples=paths.samples("train"),
        ids=paths.indices("train"),
    output:
        paths.curvature(),
    log:
        log_path("curvatures", "{curvature}", "{model}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("curvature"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params(
            "curvature",
            curvature=benchmark.config.curvatures[w.curvature],
            noise_schedule=benchmark.config.noise_schedule,
            seed=benchmark.config.seed,
            member=benchmark.models.member(w.model),
        ),
    script:
        "../scripts/curvature.py"


rule features:
    """Compute projected gradients of one shard of images, for all output functions of a pass."""
    input:
        unpack(by_wildcards(benchmark.inputs.gradients, "gradient_pass", "model")),
        unpack(
            lambda w: benchmark.inputs.conditioning(
                "gen" if w.source == TRAJECTORY else w.source
            )
        ),
        samples=paths.samples("{source}"),
        ids=lambda w: paths.indices("gen" if w.source == TRAJECTORY else w.source),
    output:
        paths.features(split="{source}"),
    log:
        log_path("features", "{gradient_pass}", "{model}", "{source}", "{shard}"),
    group:
        grouped("features")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("features"),
        batch_size=benchmark.config.jobs.batch_size,
    params:
        config=lambda w: benchmark.params.features(
            w.gradient_pass,
            w.source,
            images=refused(benchmark.counts.shard, w.source, w.shard),
            member=benchmark.models.member(w.model),
        ),
    script:
        "../scripts/features.py"


rule check_features:
    """Compute features of a few images again, one timestep at a time and in another order."""
    input:
        unpack(lambda w: benchmark.inputs.gradients(w.gradient_pass, FULL)),
        **benchmark.inputs.conditioning("train"),
        samples=paths.samples("train"),
        ids=paths.indices("train"),
        shard=paths.features(split="train", shard="0000", model=FULL),
    output:
        paths.check(),
    log:
        log_path("checks", "{gradient_pass}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("check_features"),
    params:
        config=lambda w: benchmark.params.features(w.gradient_pass, "train"),
    script:
        "../scripts/check_features.py"


rule kernel:
    """Decompose the Gram matrix of one feature set, once for all methods and every lambda."""
    input:
        lambda w: benchmark.inputs.shards(w.gradient_pass, "train", w.model),
    output:
        paths.kernel(),
    log:
        log_path("kernels", "{gradient_pass}", "{output_function}", "{model}"),
    group:
        grouped("kernel")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("kernel"),
    params:
        config=lambda w: benchmark.params(
            "attribution", output_function=w.output_function
        ),
    script:
        "../scripts/kernel.py"
