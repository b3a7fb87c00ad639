rule data:
    """Draw training, val and planted images from the data set."""
    output:
        **{
            f"{split}_{kind}": place(split)
            for split in benchmark.splits.real
            for kind, place in {
                "indices": paths.indices,
                "images": benchmark.inputs.images,
                "labels": paths.labels,
            }.items()
        },
        names=paths.names(),
        classes=paths.classes(),
    log:
        log_path("data"),
    conda:
        ENVIRONMENT
    resources:
        **requested("data"),
    params:
        config=benchmark.params.data(
            queries=benchmark.config.queries,
            seed=benchmark.config.seed,
            eight_bit=benchmark.models.text_conditioned is not None,
        ),
    script:
        "../scripts/data.py"


rule fetch:
    """Download the data set's files, or list what to download by hand; needs a network."""
    log:
        log_path("fetch"),
    conda:
        ENVIRONMENT
    params:
        config=benchmark.params.data(),
    script:
        "../scripts/fetch.py"
