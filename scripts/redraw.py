"""Rule redraw: the queries of one block under the models that were trained without some images."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.config import Losses, NoiseSchedule, Sampling
    from diffattr.diffusion.models import read_block
    from diffattr.diffusion.redrawing import own_losses, redrawn

    queries, seed = this.config["queries"], this.config["seed"]
    schedule = this.section("noise_schedule", NoiseSchedule)
    _, networks = read_block(this.input.block)
    n_steps = this.section("sampling", Sampling).n_steps
    images = redrawn(networks, queries, schedule, n_steps, seed, device=this.device)
    losses = own_losses(
        networks,
        read_array(this.input.images)[queries],
        queries,
        schedule,
        this.section("losses", Losses),
        seed,
        batch_size=this.batch_size,
        device=this.device,
    )
    write_arrays(this.output[0], {"images": images, "losses": losses}, {"queries": queries})
