"""Rule embed: the images of one split as vectors."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_array
    from diffattr.config import EmbeddingOptions, NoiseSchedule
    from diffattr.diffusion.models import check_channels, read_captions, read_network
    from diffattr.features.embeddings import make

    path, captions = this.input.get("network"), read_captions(this.input.get("captions"))
    network, images = None, read_array(this.input.images)
    if path is not None:
        network = read_network(path, captions)
        check_channels(network, images.shape[1])
    embedding = make(
        this.section("embedding", EmbeddingOptions),
        network=network,
        schedule=this.section("noise_schedule", NoiseSchedule),
        seed=this.config["seed"],
        batch_size=this.batch_size,
        device=this.device,
    )
    write_array(this.output[0], embedding(images))
