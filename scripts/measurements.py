"""Rule measurements: all loss tables of one split, averaged over timesteps."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import write_arrays
    from diffattr.evaluation.measurements import gather

    seeds = this.config["seeds"]
    gathered, subsets = gather(this.input, len(seeds), this.config["n_blocks"])
    write_arrays(this.output[0], {"measurements": gathered}, {"seeds": seeds, "subsets": subsets})
