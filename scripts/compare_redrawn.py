"""Rule compare_redrawn: how far queries moved without the images that each method names."""

from diffattr.jobs import job

with job(snakemake) as this:
    import msgspec
    import numpy as np

    from diffattr.artifacts import as_list, read_array, write_json
    from diffattr.config import Counterfactual, EmbeddingOptions, Lds, NoiseSchedule
    from diffattr.data.removals import Removal, read_orders
    from diffattr.diffusion.models import read_captions, read_network
    from diffattr.evaluation.counterfactual import (
        Outcome,
        compared,
        moved,
        of_outcomes,
        overlaps,
        read_originals,
        read_outcome,
    )
    from diffattr.features.embeddings import EMBEDDINGS, make

    config, section = this.config, this.section("section", Counterfactual)
    n_train, blocks = config["n_train"], config["blocks"]
    queries = [query for block in blocks for query in block]
    pictures = this.input.get("pictures")
    original = Outcome(
        read_array(this.input.images)[queries],
        read_originals(this.input.originals, queries, config["n_timesteps"]),
        None if pictures is None else read_array(pictures)[queries],
    )
    captions = read_captions(this.input.get("captions"))
    network = read_network(this.input.network, captions) if config["embeddings"] else None
    embeddings = {
        name: of_outcomes(
            make(
                msgspec.convert(options, EmbeddingOptions),
                network=network,
                schedule=this.section("noise_schedule", NoiseSchedule),
                seed=config["seed"],
                batch_size=this.batch_size,
                device=this.device,
            ),
            of_pictures=not EMBEDDINGS[options["kind"]].needs_network,
        )
        for name, options in config["embeddings"].items()
    }
    embedded = {name: embed(original) for name, embed in embeddings.items()}
    removals = [msgspec.convert(removal, Removal) for removal in config["removals"]]
    shape = len(removals), len(section.seeds), len(blocks)
    distances = []
    for by_seed in np.reshape(as_list(this.input.outcomes), shape):
        outcomes = [read_outcome(paths, blocks, original) for paths in by_seed]
        distances.append(moved(original, outcomes, embeddings, embedded))
    removed = {
        method: read_orders(path, queries, n_train)["proponents"]
        for method, path in zip(section.methods, as_list(this.input.removals), strict=True)
    }
    result = {
        "queries": queries,
        "n_train": n_train,
        "seeds": section.seeds,
        "removals": compared(
            removals, distances, config["random"], this.section("lds", Lds), config["seed"]
        ),
        "overlaps": overlaps(removed, dict(config["sizes"]), n_train),
    }
    write_json(this.output[0], result)
