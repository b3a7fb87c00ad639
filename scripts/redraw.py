"""Rule redraw: the queries of one block under the models that were trained without some images."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.config import Losses, NoiseSchedule, Sampling
    from diffattr.counterfactual.redrawing import own_losses, redrawn
    from diffattr.diffusion.models import read_block, read_captions

    queries, seed = this.config["queries"], this.config["seed"]
    schedule = this.section("noise_schedule", NoiseSchedule)
    _, networks = read_block(this.input.block, read_captions(this.input.get("captions")))
    samples = redrawn(
        networks,
        queries,
        schedule,
        this.section("sampling", Sampling),
        seed,
        labels=this.array("labels"),
        device=this.device,
    )
    losses = own_losses(
        networks,
        read_array(this.input.samples)[queries],
        queries,
        schedule,
        this.section("losses", Losses),
        seed,
        labels=this.array("labels", queries),
        batch_size=this.batch_size,
        device=this.device,
    )
    made = {"samples": samples, "losses": losses}
    if (pipeline := this.config["pipeline"]) is not None:
        from diffattr.diffusion.latents import Vae

        made["images"] = Vae(pipeline, device=this.device).decode(samples)
    write_arrays(this.output[0], made, {"queries": queries})
