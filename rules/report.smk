REPORT_FILES = {
    "page": paths("report", "index.html"),
    "numbers": paths("report", "report.json"),
    "table": paths("report", "lds.txt"),
    "viewer": paths("report", "queries"),
    **({"sweeps": paths("report", "sweeps.html")} if benchmark.cells else {}),
    **(
        {"redrawn": paths("report", "counterfactual.html")}
        if benchmark.removals
        else {}
    ),
}


rule build_report:
    """Write the report: a page for people, the same numbers for machines, a table for terminals."""
    input:
        lds=LDS_FILES,
        scores=[
            paths.scores(method, split)
            for method in benchmark.named_methods
            for split in benchmark.splits_of(method)
        ],
        audits=[
            paths.audit(method, split)
            for method in (
                benchmark.named_methods if benchmark.config.lds.powers else []
            )
            for split in benchmark.lds_splits_of(method)
        ],
        maps=[
            paths.maps(method, split)
            for method in benchmark.named_methods
            for split in benchmark.mapped_splits_of(method)
        ],
        counterfactual=COUNTERFACTUAL_FILES,
        checks=[paths.check(gradient_pass) for gradient_pass in benchmark.used_passes],
        images=[
            benchmark.pictures(split) for split in ("train", *benchmark.query_splits)
        ],
        indices=[paths.indices(split) for split in ("train", *benchmark.query_splits)],
        # Queries that were generated without a caption have no class.
        labels=[
            paths.labels(split)
            for split in ("train", *benchmark.query_splits)
            if benchmark.has_labels(split)
        ],
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
            "report", benchmark=benchmark.written, splits=benchmark.query_splits
        ),
    script:
        "../scripts/report.py"
