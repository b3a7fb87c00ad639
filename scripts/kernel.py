"""Rule kernel: the eigendecomposition of one feature set's Gram matrix."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.attribution.kernel import Kernel
    from diffattr.attribution.store import write_kernel
    from diffattr.features.store import read_shards

    train = read_shards(this.input, this.config["output_function"])
    write_kernel(this.output[0], Kernel.from_features(train.values), train)
