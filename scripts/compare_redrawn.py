"""Rule compare_redrawn: how far queries moved without the images that each method names."""

from diffattr.job import job

with job(snakemake) as this:
    import msgspec

    from diffattr.artifacts import as_list, write_json
    from diffattr.config import Counterfactual, EmbeddingOptions, Lds, NoiseSchedule
    from diffattr.counterfactual.outcomes import embeds, moves, read_original, read_outcomes
    from diffattr.counterfactual.removals import Removal, read_orders
    from diffattr.counterfactual.result import CounterfactualResult, compared, overlaps
    from diffattr.diffusion.models import read_captions, read_network

    config, files, section = this.config, this.input, this.section("section", Counterfactual)
    n_train, blocks = config["n_train"], config["blocks"]
    queries = [query for block in blocks for query in block]
    original = read_original(
        files.samples, files.originals, files.get("images"), queries, config["n_timesteps"]
    )
    captions = read_captions(files.get("captions"))
    embeddings = embeds(
        this.section("embeddings", dict[str, EmbeddingOptions]),
        network=read_network(files.network, captions) if config["embeddings"] else None,
        schedule=this.section("noise_schedule", NoiseSchedule),
        seed=config["seed"],
        batch_size=this.batch_size,
        device=this.device,
    )
    outcomes = read_outcomes(as_list(files.outcomes), len(section.seeds), blocks, original)
    removals = this.section("removals", list[Removal])
    lds, moved = this.section("lds", Lds), moves(original, outcomes, embeddings)
    orders = zip(section.methods, as_list(files.removals), strict=True)
    removed = {name: read_orders(path, queries, n_train)["proponents"] for name, path in orders}
    result = CounterfactualResult(
        queries=tuple(queries),
        n_train=n_train,
        seeds=section.seeds,
        removals=compared(removals, moved, config["random"], lds, config["seed"]),
        overlaps=overlaps(removed, dict(config["sizes"]), n_train),
    )
    write_json(this.output[0], msgspec.to_builtins(result))
