"""Rule subsets of a group of removals: what is left of the training set for each query."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import write_array
    from diffattr.counterfactual.removals import read_orders

    config = this.config
    orders = read_orders(this.input.removals, config["queries"], config["n_train"])
    for path, member in zip(this.output, config["members"], strict=True):
        write_array(path, np.sort(orders[config["side"]][member][config["n_removed"] :]))
