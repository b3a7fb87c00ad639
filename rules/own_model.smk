# A model that somebody already has: taken as it is, and nothing about it measured.

from diffattr.benchmark.own_model import files_of


rule pretrained:
    """Take the network out of its pipeline, and refuse one that is not what the config says."""
    input:
        **benchmark.told(None),
        weights=files_of(benchmark.own.model),
    output:
        **benchmark.network_files,
    log:
        log_path("models", "pretrained"),
    # Generated queries and every feature wait for it.
    priority: 10
    conda:
        ENVIRONMENT
    resources:
        **asked("pretrained", benchmark.network_files["network"]),
    params:
        config=benchmark.params(
            "pretrained",
            model=benchmark.own.model,
            noise_schedule=benchmark.config.noise_schedule,
            sampling=benchmark.own.sampling,
            resolution=benchmark.config.data.resolution,
        ),
    script:
        "../scripts/pretrained.py"
