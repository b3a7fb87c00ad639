"""Rule features: one shard of projected gradients at one model."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.config import NoiseSchedule, Pass, Sampling
    from diffattr.diffusion.models import check_channels, read_model
    from diffattr.diffusion.sampling import read_trajectories, sampling_timesteps
    from diffattr.features.curvature import EkFac
    from diffattr.features.gradients import GradientPass

    schedule = this.section("noise_schedule", NoiseSchedule)
    network, model = read_model(this.input, this.config["member"], this.checksums)
    curvature = this.input.get("curvature")
    projector = EkFac.read(curvature, network, device=this.device) if curvature else None
    gradients = GradientPass(
        network,
        schedule,
        this.section("gradient_pass", Pass),
        this.config["seed"],
        device=this.device,
        projector=projector,
    )
    chosen = slice(*this.config["images"])
    every, split = read_array(this.input.ids), this.config["split"]
    ids, labels = every[chosen], this.array("labels", chosen)
    sampling, timesteps = this.config["sampling"], None
    if sampling is None:
        images = read_array(this.input.samples)[chosen]
        check_channels(network, images.shape[1])
    else:
        n_steps = sampling["n_steps"]
        images = read_trajectories(this.input.samples, len(every), n_steps, network)[chosen]
        timesteps = sampling_timesteps(schedule, Sampling(n_images=len(every), **sampling))
    features = gradients.features(
        images, ids, split, timesteps=timesteps, labels=labels, batch_size=this.batch_size
    )
    write_arrays(this.output[0], features, {"identity": gradients.identity(model)})
