"""Rule generate: the generated queries, as arrays and as PNG files."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_json, write_array
    from diffattr.config import NoiseSchedule, Sampling
    from diffattr.data.image_files import write_pngs
    from diffattr.diffusion.models import read_captions, read_network
    from diffattr.diffusion.sampling import Sampler, labels_in_blocks

    sampling, pipeline = this.section("sampling", Sampling), this.config["pipeline"]
    labels = None if pipeline is None else labels_in_blocks(sampling, read_json(this.input.classes))
    sampler = Sampler(
        read_network(this.input.network, read_captions(this.input.get("captions"))),
        this.section("noise_schedule", NoiseSchedule),
        sampling,
        this.config["seed"],
        labels=labels,
        batch_size=this.batch_size,
        device=this.device,
    )
    samples = sampler.images(range(sampling.n_images))
    write_array(this.output.samples, samples)
    write_array(this.output.ids, np.arange(len(samples)))
    if pipeline is None:
        write_pngs(this.output.folder, samples)
    else:
        from diffattr.diffusion.latents import Vae

        images = Vae(pipeline, device=this.device).decode(samples)
        write_array(this.output.labels, labels)
        write_array(this.output.images, images)
        write_pngs(this.output.folder, images)
