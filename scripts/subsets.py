"""Rule subsets: the subsets of one block."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_array
    from diffattr.data.subsets import subset

    labels, config = read_array(this.input.labels), this.config
    for path, index in zip(this.output, config["members"], strict=True):
        members = subset(
            labels,
            config["fraction"],
            config["seed"],
            config["group"],
            index,
            like_d_trak=config["split"] == "d-trak",
        )
        write_array(path, members)
