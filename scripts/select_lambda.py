"""Rule select_lambda: the lambda for one method's scores on one split."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_arrays, write_json
    from diffattr.evaluation.selection import selected_lambda

    predictions = read_arrays(this.input.predictions)
    lam = selected_lambda(
        predictions["predictions"],
        predictions.attribute("lambdas"),
        read_arrays(this.input.measurements)["measurements"],
        this.config["folds"],
        this.config["seed"],
        this.wildcards.split,
    )
    write_json(this.output[0], {"lambda": lam})
