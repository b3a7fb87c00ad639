"""Rule train_full: the full model and its checkpoints."""

from diffattr.job import job

with job(snakemake) as this:
    from pathlib import Path

    import numpy as np

    from diffattr.artifacts import as_list, read_array, scratch
    from diffattr.config import Recipe
    from diffattr.diffusion.models import read_captions, write_networks
    from diffattr.diffusion.training import TrainingSet, train

    recipe, images = this.section("recipe", Recipe), read_array(this.input.samples)
    # Not among the params: dropping a checkpoint must not train the model again.
    kept = {int(Path(path).parent.name) for path in as_list(this.output.checkpoints)}
    folder = Path(this.output.network).parent
    captions = read_captions(this.input.get("captions"))
    with scratch(folder) as place:
        weights = train(
            TrainingSet(
                images,
                read_array(this.input.ids),
                this.array("labels"),
                captions,
                this.array("mirrored"),
            ),
            [np.arange(len(images))],
            this.config["seed"],
            recipe,
            models_per_stack=1,
            scratch=place,
            keep_steps=sorted(kept),
            device=this.device,
            save_state_every_s=this.save_state_every_s,
        )
        write_networks(folder, weights, recipe.model)
