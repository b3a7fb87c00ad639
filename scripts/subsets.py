"""Rule subsets: the subsets of one block."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_array, write_array
    from diffattr.data.subsets import subset

    labels, config = read_array(this.input.labels), this.config
    block = [
        subset(
            labels,
            config["fraction"],
            config["seed"],
            config["group"],
            index,
            like_d_trak=config["split"] == "d-trak",
        )
        for index in config["members"]
    ]
    write_array(this.output[0], np.stack(block))
