from diffattr.report.files import input_files, output_files

REPORT_FILES = output_files(benchmark)


rule build_report:
    """Write the report: pages, report.json with the same numbers, and tables."""
    input:
        **{kind: list(files.values()) for kind, files in input_files(benchmark).items()},
    output:
        **{**REPORT_FILES, "viewer": directory(REPORT_FILES["viewer"])},
    log:
        log_path("report"),
    conda:
        ENVIRONMENT
    resources:
        **requested("build_report"),
    params:
        config=benchmark.params(
            "report", benchmark=benchmark.written, splits=benchmark.splits.queries
        ),
    script:
        "../scripts/report.py"
