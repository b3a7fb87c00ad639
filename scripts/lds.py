"""Rule lds: the LDS of one method on one split."""

from diffattr.job import job

with job(snakemake) as this:
    import msgspec

    from diffattr.artifacts import as_list, read_arrays, write_json
    from diffattr.config import PRIMARY, Lds
    from diffattr.evaluation.result import evaluate

    predictions, lds = read_arrays(this.input.predictions), this.section("lds", Lds)
    paths = zip([PRIMARY, *lds.also_measured], as_list(this.input.measurements), strict=True)
    result = evaluate(
        predictions["predictions"],
        predictions.attribute("lambdas"),
        {quantity: read_arrays(path)["measurements"] for quantity, path in paths},
        lds,
        this.config["seed"],
        this.wildcards.split,
    )
    write_json(this.output[0], msgspec.to_builtins(result))
