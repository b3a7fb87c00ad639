"""Rule predictions: sums of one method's scores over each subset, for every lambda."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_arrays, write_arrays
    from diffattr.attribution import configured
    from diffattr.attribution.scores import DenseAttribution
    from diffattr.data.subsets import read_subsets

    if "scores" in this.input.keys():  # noqa: SIM118 (Snakemake's named list)
        tau = read_arrays(this.input.scores)["scores"].astype(np.float64)
        attribution = DenseAttribution(tau)
    else:
        params = this.config["method"]
        attribution = configured(params).attribution(params, this.input)
    lambdas = this.config["lambdas"]
    predictions = attribution.predictions(read_subsets(this.input.lds_subsets), lambdas)
    write_arrays(this.output[0], {"predictions": predictions}, {"lambdas": lambdas})
