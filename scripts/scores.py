"""Rule scores: one method's scores for one split, at the selected lambda."""

from diffattr.job import job

with job(snakemake) as this:
    import numpy as np

    from diffattr.artifacts import write_arrays
    from diffattr.attribution import configured
    from diffattr.evaluation.selection import read_selected

    params = this.config["method"]
    attribution = configured(params).attribution(params, this.input)
    selected = this.input.get("selected")
    lam = this.config["lambda"] if selected is None else read_selected(selected)
    scores = attribution.scores(lam).astype(np.float32)
    write_arrays(this.output[0], {"scores": scores}, {"lambda": lam})
