"""Rule pretrained: the network of an already trained pipeline."""

from diffattr.job import job

with job(snakemake) as this:
    from pathlib import Path

    from diffattr.benchmark.pretrained import pipeline_errors
    from diffattr.config import Model, NoiseSchedule, Sampling, refuse
    from diffattr.diffusion.families import family
    from diffattr.diffusion.models import read_captions, trained_parameters, write_network

    model = this.section("model", Model)
    schedule = this.section("noise_schedule", NoiseSchedule)
    sampling = None if this.config["sampling"] is None else this.section("sampling", Sampling)
    refuse(pipeline_errors(model, schedule, sampling, this.config["resolution"]))
    captions = read_captions(this.input.get("captions"))
    network, model = family(model.family).pretrained(model, captions)
    write_network(Path(this.output.network).parent, trained_parameters(network), model)
