"""Rule data: the data set's images, split."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import write_array
    from diffattr.config import Data
    from diffattr.data import data_source
    from diffattr.data.pixels import eight_bit
    from diffattr.data.splits import split

    data = this.section("data", Data)
    splits = split(data_source(data.source)(data.folder), data, this.config["seed"])
    for name, part in splits.items():
        write_array(this.output[f"{name}_indices"], part.positions)
        images = eight_bit(part.images) if this.config.get("eight_bit") else part.images
        write_array(this.output[f"{name}_images"], images)
        write_array(this.output[f"{name}_labels"], part.labels)
