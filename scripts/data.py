"""Rule data: the data set's images, split."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import write_array, write_rows
    from diffattr.config import Data
    from diffattr.data import DATA_SOURCES
    from diffattr.data.splits import split

    data = this.section("data", Data)
    source = DATA_SOURCES[data.source].load(data)
    for name, part in split(source, data, this.config["seed"]).items():
        write_array(this.output[f"{name}_indices"], part.positions)
        write_rows(this.output[f"{name}_images"], len(part.positions), part.chunks())
        write_array(this.output[f"{name}_labels"], part.labels)
