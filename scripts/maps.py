"""Rule maps: where in each query a patch method sees its reasons."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, read_arrays, write_arrays
    from diffattr.attribution import method_of
    from diffattr.attribution.base import with_options
    from diffattr.attribution.maps import top_maps
    from diffattr.attribution.store import noised_to

    config = this.config["method"]
    method = with_options(method_of(config["method"]), config["options"])
    positions, maps = top_maps(
        method,
        read_array(this.input.train),
        read_array(this.input.queries),
        read_arrays(this.input.scores)["scores"],
        this.config["top"],
        noised_to(method, config),
    )
    write_arrays(this.output[0], {"positions": positions, "maps": maps}, {})
