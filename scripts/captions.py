"""Rule captions: the text embeddings of the caption of each class."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_json, write_array
    from diffattr.diffusion.latents import caption, embedded_captions

    captions = [caption(this.config["caption"], name) for name in read_json(this.input.classes)]
    write_array(this.output[0], embedded_captions(this.config["pipeline"], [*captions, ""]))
