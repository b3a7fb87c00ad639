"""Rule generate: the generated queries, as arrays and as pictures."""

from diffattr.jobs import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import write_array
    from diffattr.config import NoiseSchedule, Sampling
    from diffattr.diffusion.models import read_network
    from diffattr.diffusion.sampling import generate, write_pictures

    sampling = this.section("sampling", Sampling)
    images = generate(
        read_network(this.input.network),
        sampling.n_images,
        this.section("noise_schedule", NoiseSchedule),
        sampling.n_steps,
        this.config["seed"],
        batch_size=this.batch_size,
        device=this.device,
    )
    write_array(this.output.images, images)
    write_array(this.output.ids, np.arange(len(images)))
    write_pictures(this.output.pictures, images)
