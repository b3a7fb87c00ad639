rule predictions:
    """Sum the scores of each subset, along the whole lambda path where there is one."""
    input:
        unpack(by_wildcards(benchmark.inputs.predictions, "method", "split")),
        lds_subsets=benchmark.inputs.subsets("lds"),
    output:
        paths.predictions(),
    log:
        log_path("predictions", "{method}", "{split}"),
    group:
        grouped("predictions")
    conda:
        ENVIRONMENT
    threads: benchmark.config.jobs.threads
    resources:
        **requested("predictions"),
    params:
        config=lambda w: benchmark.params.method(
            w.method,
            lambdas=(
                benchmark.measurement.lambdas.relative
                if benchmark.methods[w.method].has_lambda
                else [None]
            ),
        ),
    script:
        "../scripts/predictions.py"


rule select_lambda:
    """Choose the lambda of one method's scores, however its LDS is reported."""
    input:
        predictions=paths.predictions(),
        measurements=paths.measurements("lds"),
    output:
        paths.selected(),
    log:
        log_path("selected", "{method}", "{split}"),
    group:
        grouped("select_lambda")
    conda:
        ENVIRONMENT
    resources:
        **requested("select_lambda"),
    params:
        config=benchmark.params(
            "evaluation",
            folds=benchmark.measurement.lds.folds,
            seed=benchmark.config.seed,
        ),
    script:
        "../scripts/select_lambda.py"


rule lds_of_method:
    """Compare one method's predictions with the measurements."""
    input:
        predictions=paths.predictions(),
        measurements=[
            paths.measurements("lds", quantity=quantity)
            for quantity in benchmark.models.quantities("lds")
        ],
    output:
        paths.lds(),
    log:
        log_path("lds", "{method}", "{split}"),
    group:
        grouped("lds_of_method")
    conda:
        ENVIRONMENT
    resources:
        **requested("lds_of_method"),
    params:
        config=benchmark.params(
            "evaluation", lds=benchmark.measurement.lds, seed=benchmark.config.seed
        ),
    script:
        "../scripts/lds.py"


rule audit_powers:
    """Compute the LDS of one method's scores raised to powers."""
    input:
        scores=paths.scores(),
        measurements=paths.measurements("lds"),
        subsets=benchmark.inputs.subsets("lds"),
    output:
        paths.audit(),
    log:
        log_path("audits", "{method}", "{split}"),
    group:
        grouped("audit_powers")
    conda:
        ENVIRONMENT
    resources:
        **requested("audit_powers"),
    params:
        config=benchmark.params(
            "evaluation", lds=benchmark.measurement.lds, seed=benchmark.config.seed
        ),
    script:
        "../scripts/audit.py"
