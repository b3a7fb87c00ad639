"""Rule planted: how every method ranks the copies of the planted queries."""

from diffattr.job import job

with job(snakemake) as this:
    import msgspec

    from diffattr.artifacts import as_list, read_array, read_arrays, write_json
    from diffattr.evaluation.planted import planted_ranks

    stores = map(read_arrays, as_list(this.input.scores))
    methods = (
        (name, store.attribute("lambda"), store["scores"])
        for name, store in zip(this.config["methods"], stores, strict=True)
    )
    found = planted_ranks(methods, read_array(this.input.train), read_array(this.input.queries))
    write_json(this.output[0], msgspec.to_builtins(found))
