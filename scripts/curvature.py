"""Rule curvature: the EK-FAC of one model."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array
    from diffattr.config import Curvature, NoiseSchedule
    from diffattr.diffusion.models import check_channels, read_model
    from diffattr.features.curvature import EkFac

    network, model = read_model(this.input, this.config["member"], this.checksums)
    images = read_array(this.input.samples)
    check_channels(network, images.shape[1])
    ekfac = EkFac.fit(
        network,
        images,
        read_array(this.input.ids),
        this.section("noise_schedule", NoiseSchedule),
        this.section("curvature", Curvature),
        this.config["seed"],
        batch_size=this.batch_size,
        device=this.device,
    )
    identity = {"model": model, "curvature": this.config["curvature"], "seed": this.config["seed"]}
    ekfac.write(this.output[0], identity)
