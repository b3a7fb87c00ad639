# An already trained network, read from its pipeline.

from diffattr.benchmark.pretrained import files_of


rule pretrained:
    """Read the network from its pipeline, or refuse it if it does not match the config."""
    input:
        **benchmark.inputs.conditioning(None),
        weights=files_of(benchmark.config.model),
    output:
        **benchmark.models.network_files,
    log:
        log_path("models", "pretrained"),
    # Generated queries and every feature depend on it.
    priority: 10
    conda:
        ENVIRONMENT
    resources:
        **requested("pretrained"),
    params:
        config=benchmark.params(
            "pretrained",
            model=benchmark.config.model,
            noise_schedule=benchmark.config.noise_schedule,
            sampling=benchmark.config.sampling,
            resolution=benchmark.config.data.resolution,
        ),
    script:
        "../scripts/pretrained.py"
