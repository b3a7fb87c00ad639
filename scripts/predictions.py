"""Rule predictions: sums of one method's scores over each subset, for every lambda."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import read_arrays, write_arrays
    from diffattr.attribution import configured
    from diffattr.attribution.scores import DenseAttribution
    from diffattr.data.subsets import read_subsets

    params, lambdas = this.config["method"], this.config["lambdas"]
    if (scores := this.input.get("scores")) is not None:
        attribution = DenseAttribution(read_arrays(scores)["scores"].astype(np.float64))
    else:
        attribution = configured(params).attribution(params, this.input)
    predictions = attribution.predictions(read_subsets(this.input.lds_subsets), lambdas)
    write_arrays(this.output[0], {"predictions": predictions}, {"lambdas": lambdas})
