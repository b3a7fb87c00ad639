"""Rule maps: what each place of a query adds to its top scores, by a patch method."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, read_arrays, write_arrays
    from diffattr.attribution import configured

    params = this.config["method"]
    method = configured(params)
    positions, maps = method.top_maps(
        read_array(this.input.train),
        read_array(this.input.queries),
        read_arrays(this.input.scores)["scores"],
        this.config["top"],
        method.abar(params),
    )
    write_arrays(this.output[0], {"positions": positions, "maps": maps}, {})
