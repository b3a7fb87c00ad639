"""Rule originals: the losses of the full model on the queries that are drawn again."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.config import Losses, NoiseSchedule
    from diffattr.counterfactual.redrawing import own_losses
    from diffattr.diffusion.models import read_captions, read_network

    queries = this.config["queries"]
    network = read_network(this.input.network, read_captions(this.input.get("captions")))
    losses = own_losses(
        [network] * len(queries),
        read_array(this.input.samples)[queries],
        queries,
        this.section("noise_schedule", NoiseSchedule),
        this.section("losses", Losses),
        this.config["seed"],
        labels=this.array("labels", queries),
        batch_size=this.batch_size,
        device=this.device,
    )
    write_arrays(this.output[0], {"losses": losses}, {"queries": queries})
