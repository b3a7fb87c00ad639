"""Rule measurements: all loss tables of one split, averaged over timesteps."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_arrays, write_arrays
    from diffattr.config import NoiseSchedule
    from diffattr.evaluation.measurements import LOSS, SQUARES, Quantity, gather

    def quantity(name: str) -> Quantity:
        if name != "weighted-mse":
            return {"loss": LOSS, "mean-squared-l2-norm": SQUARES}[name]
        from diffattr.diffusion.noising import elbo_weights, strata_midpoints

        schedule = this.section("noise_schedule", NoiseSchedule)
        n_timesteps = read_arrays(this.input[0])["losses"].shape[1]
        midpoints = strata_midpoints(n_timesteps, schedule.n_timesteps)
        return Quantity("losses", elbo_weights(schedule).numpy()[midpoints])

    seeds = this.config["seeds"]
    quantities = {name: quantity(name) for name in this.config["quantities"]}
    gathered, subsets = gather(this.input, len(seeds), this.config["n_blocks"], quantities)
    write_arrays(this.output[0], gathered, {"seeds": seeds, "subsets": subsets})
