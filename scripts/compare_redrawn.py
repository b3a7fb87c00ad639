"""Rule compare_redrawn: how far queries moved without the images that each method names."""

from diffattr.jobs import job

with job(snakemake) as this:
    import msgspec

    from diffattr.artifacts import read_array, read_arrays, write_json
    from diffattr.attribution.store import as_list
    from diffattr.config import Counterfactual, Embedding, Lds, NoiseSchedule
    from diffattr.data.removals import Removal
    from diffattr.diffusion.models import read_network
    from diffattr.evaluation.counterfactual import compared, moved, overlaps
    from diffattr.features.embeddings import make

    config, section = this.config, this.section("section", Counterfactual)
    queries, n_train = config["queries"], config["n_train"]
    originals = read_array(this.input.images)[queries]
    own_losses = read_arrays(this.input.originals)["losses"]
    embeddings = {
        name: make(
            msgspec.convert(options, Embedding),
            network=read_network(this.input.network),
            schedule=this.section("noise_schedule", NoiseSchedule),
            seed=config["seed"],
            batch_size=this.batch_size,
            device=this.device,
        )
        for name, options in config["embeddings"].items()
    }
    removals = [msgspec.convert(removal, Removal) for removal in config["removals"]]
    outcomes = [read_arrays(path) for path in as_list(this.input.outcomes)]
    n_blocks, n_seeds = config["n_blocks"], len(section.seeds)
    per_removal = [
        outcomes[start : start + n_blocks * n_seeds]
        for start in range(0, len(outcomes), n_blocks * n_seeds)
    ]
    distances = [
        moved(originals, own_losses, stores, n_blocks, embeddings) for stores in per_removal
    ]
    removed = {
        method: read_arrays(path)["proponents"]
        for method, path in zip(section.methods, as_list(this.input.removals), strict=True)
    }
    sizes = {fraction: round(fraction * n_train) for fraction in section.fractions}
    result = {
        "queries": queries,
        "n_train": n_train,
        "seeds": section.seeds,
        "removals": compared(
            removals, distances, config["random"], this.section("lds", Lds), config["seed"]
        ),
        "overlaps": overlaps(removed, sizes, n_train),
    }
    write_json(this.output[0], result)
