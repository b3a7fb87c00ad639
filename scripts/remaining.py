"""Rule subsets of a group of removals: what is left of the training set for each query."""

from diffattr.jobs import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_arrays, write_array

    config = this.config
    removed = read_arrays(this.input.removals)[config["side"]][:, : config["n_removed"]]
    for path, member in zip(this.output, config["members"], strict=True):
        write_array(path, np.setdiff1d(np.arange(config["n_train"]), removed[member]))
