"""Rule remaining: the remaining training images for each query of one block."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import write_array
    from diffattr.counterfactual.removals import read_orders

    config = this.config
    orders = read_orders(this.input.removals, config["queries"], config["n_train"])
    block = orders[config["side"]][config["members"], config["n_removed"] :]
    write_array(this.output[0], np.sort(block, axis=1))
