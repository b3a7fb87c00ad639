"""Rule removals: in which order one method removes training images, per query."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_arrays, write_arrays
    from diffattr.counterfactual.removals import removal_order

    queries = this.config["queries"]
    scores = read_arrays(this.input.scores)["scores"][queries]
    write_arrays(this.output[0], removal_order(scores), {"queries": queries})
