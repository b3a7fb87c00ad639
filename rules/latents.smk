# What a text-to-image network needs: latents in the place of pixels, and captions.


rule captions:
    """Turn the caption of every class, and the empty one, into numbers."""
    input:
        classes=paths.classes(),
    output:
        paths.captions(),
    log:
        log_path("captions"),
    conda:
        ENVIRONMENT
    resources:
        **asked("captions"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=benchmark.models.text_conditioned.pipeline,
            caption=benchmark.models.text_conditioned.caption,
        ),
    script:
        "../scripts/captions.py"


rule encode:
    """Turn the pixels of one split of real images into latents."""
    input:
        pictures=paths.pictures(),
    output:
        paths.images(),
    log:
        log_path("images", "{split}"),
    wildcard_constraints:
        split="train|val|planted",
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("encode"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=benchmark.models.text_conditioned.pipeline,
            shape=benchmark.models.sample_shape,
            mirrored=False,
        ),
    script:
        "../scripts/encode.py"


rule mirror:
    """Turn the training images, flipped, into latents: a flipped latent is something else."""
    input:
        pictures=paths.pictures("train"),
    output:
        paths.mirrored(),
    log:
        log_path("images", "train-mirrored"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **asked("mirror"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=benchmark.models.text_conditioned.pipeline,
            shape=benchmark.models.sample_shape,
            mirrored=True,
        ),
    script:
        "../scripts/encode.py"
