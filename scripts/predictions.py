"""Rule predictions: sums of one method's scores over each subset, for every lambda."""

from diffattr.jobs import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_arrays, write_arrays
    from diffattr.attribution.base import DenseAttribution
    from diffattr.attribution.store import read_attribution
    from diffattr.data.subsets import membership, read_subsets

    if "scores" in this.input.keys():  # noqa: SIM118 (Snakemake's named list)
        tau = read_arrays(this.input.scores)["scores"].astype(np.float64)
        attribution = DenseAttribution(tau)
    else:
        attribution = read_attribution(this.config["method"], this.input)
    subsets = read_subsets(this.input.lds_subsets)
    lambdas = this.config["lambdas"]
    predictions = attribution.predictions(membership(subsets, attribution.n_train), lambdas)
    write_arrays(this.output[0], {"predictions": predictions}, {"lambdas": lambdas})
