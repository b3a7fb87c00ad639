rule scores:
    """Score every training image for every query, at the selected lambda where there is one."""
    input:
        unpack(by_wildcards(benchmark.inputs.scores, "method", "split")),
    output:
        paths.scores(),
    log:
        log_path("scores", "{method}", "{split}"),
    group:
        grouped("scores")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("scores"),
    params:
        config=lambda w: benchmark.params.method(
            w.method, **{"lambda": benchmark.params.lambda_of(w.method)}
        ),
    script:
        "../scripts/scores.py"


rule maps:
    """Map which places of each query explain its scores, for methods that compare patches."""
    input:
        unpack(by_wildcards(benchmark.inputs.method, "method", "split")),
        scores=paths.scores(),
    output:
        paths.maps(),
    log:
        log_path("maps", "{method}", "{split}"),
    group:
        grouped("maps")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("maps"),
    params:
        config=lambda w: benchmark.params.method(
            w.method, top=benchmark.config.report.top
        ),
    script:
        "../scripts/maps.py"
