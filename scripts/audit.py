"""Rule audit_powers: the LDS of powers of one method's scores."""

from diffattr.job import job

with job(snakemake) as this:
    import msgspec

    from diffattr.artifacts import read_arrays, write_json
    from diffattr.config import Lds
    from diffattr.data.subsets import membership, read_subsets
    from diffattr.evaluation.powers import audit

    scores = read_arrays(this.input.scores)["scores"]
    rows = audit(
        scores,
        membership(read_subsets(this.input.subsets), scores.shape[1]),
        read_arrays(this.input.measurements)["measurements"],
        this.section("lds", Lds),
        this.config["seed"],
        this.wildcards.split,
    )
    write_json(this.output[0], msgspec.to_builtins(rows))
