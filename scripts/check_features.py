"""Rule check_features: features must not depend on batch size or order."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_json
    from diffattr.config import NoiseSchedule, Pass
    from diffattr.diffusion.models import read_captions, read_network
    from diffattr.features.curvature import EkFac
    from diffattr.features.gradients import GradientPass, batch_invariance
    from diffattr.features.store import read_shards

    gradient_pass = this.section("gradient_pass", Pass)
    network = read_network(this.input.network, read_captions(this.input.get("captions")))
    curvature = this.input.get("curvature")
    projector = EkFac.read(curvature, network, device=this.device) if curvature else None
    gradients = GradientPass(
        network,
        this.section("noise_schedule", NoiseSchedule),
        gradient_pass,
        this.config["seed"],
        device=this.device,
        projector=projector,
    )
    stored = {
        name: read_shards([this.input.shard], name).values
        for name in gradient_pass.output_functions
    }
    images, ids = read_array(this.input.samples), read_array(this.input.ids)
    found = batch_invariance(gradients, images, ids, "train", stored, labels=this.array("labels"))
    write_json(this.output[0], found)
