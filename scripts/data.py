"""Rule data: the images of each split of the data set."""

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
    splits = split(source, data, this.config["seed"], queries)
    for name, images in splits.items():
        chunks = map(to_uint8, images.chunks()) if this.config["eight_bit"] else images.chunks()
        write_array(this.output[f"{name}_indices"], images.positions)
        write_rows(this.output[f"{name}_images"], len(images.positions), chunks)
        write_array(this.output[f"{name}_labels"], images.labels)
    names = {name: images.names for name, images in splits.items()}
    write_json(this.output.names, {"classes": source.class_names, "images": names})
    write_json(this.output.classes, source.class_names)
