rule scores:
    """Score every training image for every query, at the selected lambda where there is one."""
    input:
        unpack(method_inputs),
        unpack(selected_lambda),
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
        **asked("scores"),
    params:
        config=lambda w: method_params(w, **benchmark.told_lambda(w.method)),
    script:
        "../scripts/scores.py"


rule maps:
    """Say where in each query the reasons lie, for methods that compare place by place."""
    input:
        unpack(method_inputs),
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
        **asked("maps"),
    params:
        config=lambda w: method_params(w, top=benchmark.config.report.top),
    script:
        "../scripts/maps.py"
