"""Rule data: the data set's images, split."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import write_array, write_json, write_rows
    from diffattr.config import Data
    from diffattr.data import data_source
    from diffattr.data.pixels import eight_bit
    from diffattr.data.splits import split

    data = this.section("data", Data)
    source, captioned = data_source(data.source)(data), this.config.get("eight_bit", False)
    parts = split(source, data, this.config["seed"])
    for name, part in parts.items():
        chunks = (eight_bit(chunk) if captioned else chunk for chunk in part.chunks())
        write_array(this.output[f"{name}_indices"], part.positions)
        write_rows(this.output[f"{name}_images"], len(part.positions), chunks)
        write_array(this.output[f"{name}_labels"], part.labels)
    names = {name: part.names for name, part in parts.items()}
    write_json(this.output.names, {"classes": source.class_names, "images": names})
