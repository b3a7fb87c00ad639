"""Rules encode and mirror: the latents of one split of real images."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_array, write_array
    from diffattr.diffusion.latents import Vae

    images = read_array(this.input.images, mmap=True)
    if this.config["mirrored"]:
        images = np.flip(images, axis=-1)
    vae = Vae(this.config["pipeline"], device=this.device)
    write_array(this.output[0], vae.encode(images, tuple(this.config["shape"])))
