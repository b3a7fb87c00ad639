"""Rule predictions: sums of one method's scores over each subset, for every lambda."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_arrays
    from diffattr.attribution.store import read_attribution
    from diffattr.data.subsets import membership

    attribution = read_attribution(this.config["method"], this.input)
    subsets = [read_array(path) for path in this.input.lds_subsets]
    lambdas = this.config["lambdas"]
    predictions = attribution.predictions(membership(subsets, attribution.n_train), lambdas)
    write_arrays(this.output[0], {"predictions": predictions}, {"lambdas": lambdas})
