"""Rule train_block: the models of one block."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, scratch
    from diffattr.config import Recipe
    from diffattr.data.subsets import read_subsets
    from diffattr.diffusion.models import read_captions, write_block
    from diffattr.diffusion.training import TrainingSet, train

    recipe = this.section("recipe", Recipe)
    with scratch(this.output[0]) as place:
        weights = train(
            TrainingSet(
                read_array(this.input.samples),
                read_array(this.input.ids),
                this.array("labels"),
                read_captions(this.input.get("captions")),
                this.array("mirrored"),
            ),
            read_subsets(this.input.subsets),
            int(this.wildcards.seed),
            recipe,
            models_per_stack=this.config["models_per_stack"],
            scratch=place,
            device=this.device,
            save_state_every_s=this.save_state_every_s,
        )
        write_block(this.output[0], weights[max(weights)], recipe.model, this.config["subsets"])
