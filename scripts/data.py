"""Rule data: the data set's images, split."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import write_array, write_json, write_rows
    from diffattr.config import Data, Queries
    from diffattr.data import data_source
    from diffattr.data.image_files import to_uint8
    from diffattr.data.splits import split

    data = this.section("data", Data)
    queries = None if this.config["queries"] is None else this.section("queries", Queries)
    source = data_source(data.source)(data)
    parts = split(source, data, this.config["seed"], queries)
    for name, part in parts.items():
        chunks = (to_uint8(chunk) if this.config["eight_bit"] else chunk for chunk in part.chunks())
        write_array(this.output[f"{name}_indices"], part.positions)
        write_rows(this.output[f"{name}_images"], len(part.positions), chunks)
        write_array(this.output[f"{name}_labels"], part.labels)
    names = {name: part.names for name, part in parts.items()}
    write_json(this.output.names, {"classes": source.class_names, "images": names})
    write_json(this.output.classes, source.class_names)
