"""Rule classes: the names of the data set's classes."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import write_json
    from diffattr.config import Data
    from diffattr.data import data_source

    data = this.section("data", Data)
    write_json(this.output.classes, data_source(data.source)(data).class_names)
