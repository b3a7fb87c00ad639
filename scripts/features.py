"""Rule features: one shard of projected gradients at one model."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array
    from diffattr.config import NoiseSchedule, Pass, Sampling
    from diffattr.diffusion.models import check_channels, read_model
    from diffattr.diffusion.sampling import read_trajectories, sampling_timesteps
    from diffattr.features.curvature import read_rotation
    from diffattr.features.gradients import GradientPass
    from diffattr.features.store import write_shard

    schedule = this.section("noise_schedule", NoiseSchedule)
    network, model = read_model(this.input, this.config["member"], this.checksums)
    gradients = GradientPass(
        network,
        schedule,
        this.section("gradient_pass", Pass),
        this.config["seed"],
        device=this.device,
        projector=read_rotation(this.input.get("curvature"), network, this.device),
    )
    chosen = slice(*this.config["images"])
    every, split = read_array(this.input.ids), this.config["split"]
    ids, labels = every[chosen], this.array("labels", chosen)
    sampling = this.config["sampling"]
    if sampling is None:
        images = read_array(this.input.samples)[chosen]
        check_channels(network, images.shape[1])
        features = gradients.features(images, ids, split, labels=labels, batch_size=this.batch_size)
    else:
        n_steps = sampling["n_steps"]
        followed = read_trajectories(this.input.samples, len(every), n_steps, network)[chosen]
        timesteps = sampling_timesteps(schedule, Sampling(n_images=len(every), **sampling))
        features = gradients.trajectory_features(
            followed, timesteps, ids, split, labels=labels, batch_size=this.batch_size
        )
    write_shard(this.output[0], features, gradients.identity(model))
