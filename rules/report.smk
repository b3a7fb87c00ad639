REPORT_FILES = {
    "page": paths("report", "index.html"),
    "numbers": paths("report", "report.json"),
    "table": paths("report", "lds.txt"),
    "viewer": paths("report", "queries"),
    **({"sweeps": paths("report", "sweeps.html")} if benchmark.cells else {}),
    **(
        {"redrawn": paths("report", "counterfactual.html")}
        if benchmark.counts.removals
        else {}
    ),
}


rule build_report:
    """Write the report: a page for people, the same numbers for machines, a table for terminals."""
    input:
        lds=LDS_FILES,
        scores=[
            paths.scores(method, split)
            for method in benchmark.splits.named
            for split in benchmark.splits.of(method)
        ],
        audits=[
            paths.audit(method, split)
            for method in (
                benchmark.splits.named if benchmark.measurement.lds.powers else []
            )
            for split in benchmark.splits.lds_of(method)
        ],
        maps=[
            paths.maps(method, split)
            for method in benchmark.splits.named
            for split in benchmark.splits.mapped_of(method)
        ],
        counterfactual=[paths.counterfactual()] if benchmark.counts.removals else [],
        planted=PLANTED_FILES,
        checks=[paths.check(gradient_pass) for gradient_pass in benchmark.passes.used],
        images=[
            benchmark.inputs.pictures(split) for split in ("train", *benchmark.splits.queries)
        ],
        indices=[paths.indices(split) for split in ("train", *benchmark.splits.queries)],
        # Queries that were generated without a caption have no class.
        labels=[
            paths.labels(split)
            for split in ("train", *benchmark.splits.queries)
            if benchmark.inputs.has_labels(split)
        ],
    output:
        **{**REPORT_FILES, "viewer": directory(REPORT_FILES["viewer"])},
    log:
        log_path("report"),
    conda:
        ENVIRONMENT
    resources:
        **asked("build_report", REPORT_FILES["page"]),
    params:
        config=benchmark.params(
            "report", benchmark=benchmark.written, splits=benchmark.splits.queries
        ),
    script:
        "../scripts/report.py"
