"""Rule features: one shard of projected gradients."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array
    from diffattr.config import NoiseSchedule, Pass
    from diffattr.diffusion.models import read_network
    from diffattr.features.gradients import GradientPass
    from diffattr.features.store import write_shard

    gradients = GradientPass(
        read_network(this.input.network),
        this.section("noise_schedule", NoiseSchedule),
        this.section("gradient_pass", Pass),
        this.config["seed"],
        device=this.device,
    )
    images = slice(*this.config["images"])
    features = gradients.features(
        read_array(this.input.images)[images],
        read_array(this.input.ids)[images],
        this.wildcards.split,
        batch_size=this.batch_size,
    )
    write_shard(this.output[0], features, gradients.identity(this.checksum(this.input.network)))
