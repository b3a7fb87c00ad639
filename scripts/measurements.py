"""Rule measurements: one quantity from all loss tables of one split, averaged over timesteps."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import write_arrays
    from diffattr.config import NoiseSchedule
    from diffattr.evaluation.measurements import gather, quantity

    config, schedule = this.config, this.section("noise_schedule", NoiseSchedule)
    measured = quantity(config["quantity"], config["n_timesteps"], schedule)
    seeds = config["seeds"]
    gathered, subsets = gather(this.input, len(seeds), config["n_blocks"], measured)
    write_arrays(this.output[0], {"measurements": gathered}, {"seeds": seeds, "subsets": subsets})
