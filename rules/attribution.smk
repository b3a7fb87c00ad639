rule predictions:
    """Sum the scores of each subset, for every lambda."""
    input:
        unpack(method_inputs),
        lds_subsets=[
            paths.subset("lds", index) for index in range(benchmark.group("lds").count)
        ],
    output:
        paths.predictions(),
    log:
        log_path("predictions", "{method}", "{split}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(LIGHT_MB),
    params:
        config=lambda w: method_params(
            w,
            lambdas=(
                benchmark.config.lambdas.relative
                if benchmark.methods[w.method].has_lambda
                else [None]
            ),
        ),
    script:
        "../scripts/predictions.py"


rule scores:
    """Score every training image for every query, at the selected lambda."""
    input:
        unpack(method_inputs),
        # Planted queries have no measurements: they take the lambda selected on val.
        lds=lambda w: paths.lds(w.method, "val" if w.split == "planted" else w.split),
    output:
        paths.scores(),
    log:
        log_path("scores", "{method}", "{split}"),
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        mem_mb=grown(LIGHT_MB),
    params:
        config=lambda w: method_params(w),
    script:
        "../scripts/scores.py"
