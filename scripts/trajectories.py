"""Rule trajectories: the clean images predicted at each step of each query's generation."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import write_array
    from diffattr.config import NoiseSchedule, Sampling
    from diffattr.diffusion.models import read_captions, read_network
    from diffattr.diffusion.sampling import Sampler

    sampling = this.section("sampling", Sampling)
    sampler = Sampler(
        read_network(this.input.network, read_captions(this.input.get("captions"))),
        this.section("noise_schedule", NoiseSchedule),
        sampling,
        this.config["seed"],
        labels=this.array("labels"),
        batch_size=this.batch_size,
        device=this.device,
    )
    write_array(this.output[0], sampler.trajectories(range(sampling.n_images)))
