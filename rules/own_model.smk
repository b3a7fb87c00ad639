# A model that somebody already has: taken as it is, and nothing about it measured.

from diffattr.benchmark.own_model import files_of

REPORT_FILES = {
    "page": paths("report", "index.html"),
    "numbers": paths("report", "report.json"),
    "table": paths("report", "proponents.csv"),
    "viewer": paths("report", "queries"),
}


rule pretrained:
    """Take the network out of its pipeline, and refuse one that is not what the config says."""
    input:
        **benchmark.told(None),
        weights=files_of(benchmark.own.model),
    output:
        **benchmark.network_files,
    log:
        log_path("models", "pretrained"),
    # Generated queries and every feature wait for it.
    priority: 10
    conda:
        ENVIRONMENT
    resources:
        **asked("pretrained"),
    params:
        config=benchmark.params(
            "pretrained",
            model=benchmark.own.model,
            noise_schedule=benchmark.config.noise_schedule,
            sampling=benchmark.own.sampling,
            resolution=benchmark.config.data.resolution,
        ),
    script:
        "../scripts/pretrained.py"


rule build_report:
    """Write the report: pages for people, the same numbers for machines, a table of proponents."""
    input:
        scores=[
            paths.scores(method, split)
            for method in benchmark.named_methods
            for split in benchmark.splits_of(method)
        ],
        maps=[
            paths.maps(method, split)
            for method in benchmark.named_methods
            for split in benchmark.mapped_splits_of(method)
        ],
        checks=[paths.check(gradient_pass) for gradient_pass in benchmark.used_passes],
        images=[
            benchmark.pictures(split) for split in ("train", *benchmark.query_splits)
        ],
        indices=[paths.indices(split) for split in ("train", *benchmark.query_splits)],
        labels=[
            paths.labels(split)
            for split in ("train", *benchmark.query_splits)
            if benchmark.has_labels(split)
        ],
        names=paths.names(),
    output:
        **{**REPORT_FILES, "viewer": directory(REPORT_FILES["viewer"])},
    log:
        log_path("report"),
    conda:
        ENVIRONMENT
    resources:
        **asked("build_report"),
    params:
        config=benchmark.params(
            "report", benchmark=benchmark.own, splits=benchmark.query_splits
        ),
    script:
        "../scripts/own_report.py"
