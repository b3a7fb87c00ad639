rule data:
    """Draw training, val and planted images from the data set."""
    output:
        **{
            f"{split}_{kind}": place(split)
            for split in benchmark.real_splits
            for kind, place in {
                "indices": paths.indices,
                "images": benchmark.pictures,
                "labels": paths.labels,
            }.items()
        },
        # Of one's own images people know the names, not the positions.
        **({"names": paths.names()} if benchmark.own else {}),
    log:
        log_path("data"),
    conda:
        ENVIRONMENT
    resources:
        **asked("data"),
    params:
        config=benchmark.params(
            "data",
            data=benchmark.config.data,
            seed=benchmark.config.seed,
            # Named only where they are, so that the params of other benchmarks stay as they are.
            **({"eight_bit": True} if benchmark.captioned else {}),
            **benchmark.plugins("data-sources", benchmark.config.data.source),
        ),
    script:
        "../scripts/data.py"


# A rule of its own: of a job with an output that was never made, Snakemake trusts no recorded params,
# and benchmarks from before there were names have images and labels without them.
rule classes:
    """Write the names of the data set's classes, for those who ask for them."""
    output:
        classes=paths.classes(),
    log:
        log_path("classes"),
    conda:
        ENVIRONMENT
    resources:
        **asked("classes"),
    params:
        config=benchmark.params(
            "data",
            data=benchmark.config.data,
            **benchmark.plugins("data-sources", benchmark.config.data.source),
        ),
    script:
        "../scripts/classes.py"


rule fetch:
    """Get the data set's files from where they are published, where this machine has a network."""
    log:
        log_path("fetch"),
    conda:
        ENVIRONMENT
    params:
        config=benchmark.params("data", data=benchmark.config.data),
    script:
        "../scripts/fetch.py"
