"""Rule embed: the images of one split as vectors."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_array
    from diffattr.config import Embedding, NoiseSchedule
    from diffattr.diffusion.models import read_captions, read_network
    from diffattr.features.embeddings import make

    network, captions = this.input.get("network"), read_captions(this.input.get("captions"))
    embedding = make(
        this.section("embedding", Embedding),
        network=None if network is None else read_network(network, captions),
        schedule=this.section("noise_schedule", NoiseSchedule),
        seed=this.config["seed"],
        batch_size=this.batch_size,
        device=this.device,
    )
    write_array(this.output[0], embedding(read_array(this.input.images)))
