"""Rule subsets of a group of removals: what is left of the training set for each query."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_arrays, readable, write_array
    from diffattr.data.removals import remaining

    config = this.config
    orders = read_arrays(this.input.removals)[config["side"]]
    with readable(this.input.removals, "order of removal"):
        subsets = [
            remaining(orders[member], config["n_removed"], config["n_train"])
            for member in config["members"]
        ]
    for path, subset in zip(this.output, subsets, strict=True):
        write_array(path, subset)
