# Inputs of text-to-image networks: latents instead of pixels, and captions.


rule captions:
    """Embed the caption of every class, and the empty caption."""
    input:
        classes=paths.classes(),
    output:
        paths.captions(),
    log:
        log_path("captions"),
    conda:
        ENVIRONMENT
    resources:
        **requested("captions"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=PIPELINE,
            caption=benchmark.models.text_conditioned.caption,
        ),
    script:
        "../scripts/captions.py"


rule encode:
    """Encode the pixels of one split of real images, or its flipped images, as latents."""
    input:
        images=paths.images(),
    output:
        paths.samples(),
    log:
        log_path("samples", "{split}"),
    wildcard_constraints:
        split="train|val|planted",
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("encode"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=PIPELINE,
            shape=benchmark.models.sample_shape,
            mirrored=False,
        ),
    script:
        "../scripts/encode.py"


# The flipped training images: a flipped latent is not the latent of a flipped image.
use rule encode as mirror with:
    input:
        images=paths.images("train"),
    output:
        paths.mirrored(),
    log:
        log_path("samples", "train-mirrored"),
    params:
        config=benchmark.params(
            "latents",
            pipeline=PIPELINE,
            shape=benchmark.models.sample_shape,
            mirrored=True,
        ),
