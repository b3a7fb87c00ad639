"""Rule losses: the loss tables of one block on one split."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.config import Losses, NoiseSchedule
    from diffattr.diffusion.losses import loss_tables
    from diffattr.diffusion.models import read_block, read_captions
    from diffattr.features.output_functions import output_function

    subsets, networks = read_block(this.input.block, read_captions(this.input.get("captions")))
    tables = loss_tables(
        networks,
        read_array(this.input.samples),
        read_array(this.input.ids),
        this.wildcards.split,
        this.section("noise_schedule", NoiseSchedule),
        this.section("losses", Losses),
        this.config["seed"],
        {name: output_function(name) for name in this.config["functions"]},
        labels=this.array("labels"),
        batch_size=this.batch_size,
        device=this.device,
    )
    write_arrays(this.output[0], tables, {"subsets": subsets})
