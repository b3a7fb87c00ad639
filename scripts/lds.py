"""Rule lds: the LDS of one method on one split."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_arrays, write_json
    from diffattr.config import Lds
    from diffattr.evaluation.result import evaluate

    predictions = read_arrays(this.input.predictions)
    result = evaluate(
        predictions["predictions"],
        predictions.attribute("lambdas"),
        read_arrays(this.input.measurements).arrays,
        this.section("lds", Lds),
        this.config["seed"],
        this.wildcards.split,
    )
    write_json(this.output[0], result)
