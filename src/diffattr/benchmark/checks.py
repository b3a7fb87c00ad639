"""What the schema cannot see in a config, one sentence per error."""

from collections.abc import Iterator

from diffattr.config import PRIMARY, Config, ConfigError
from diffattr.data import data_source
from diffattr.data.sampling import D_TRAK_LDS_SUBSETS
from diffattr.diffusion.families import MODEL_FAMILIES, sample_shape
from diffattr.features.embeddings import check as check_embedding
from diffattr.features.output_functions import output_function
from diffattr.features.projectors import check as check_projector
from diffattr.plugins import PluginError


def config_errors(config: Config, *, measures: bool = True) -> Iterator[str]:
    """Yield what is wrong with a config, methods apart; not all of them measure anything."""
    schedule = config.noise_schedule
    if schedule.beta_start > schedule.beta_end:
        yield (
            f"noise_schedule.beta_start: found {schedule.beta_start}, allowed: at most"
            f" beta_end = {schedule.beta_end}"
        )
    if config.data.n_planted >= config.data.n_train:
        yield (
            f"data.n_planted: found {config.data.n_planted}, allowed: less than n_train ="
            f" {config.data.n_train}, of which planted images are a part"
        )
    timesteps = {
        "sampling.n_steps": config.sampling.n_steps,
        "losses.n_timesteps": config.losses.n_timesteps,
        **{f"features.{name}.n_timesteps": p.n_timesteps for name, p in config.features.items()},
        **{
            f"curvatures.{name}.n_timesteps": c.n_timesteps for name, c in config.curvatures.items()
        },
    }
    for key, n in timesteps.items():
        if n > schedule.n_timesteps:
            yield (
                f"{key}: found {n}, allowed: at most noise_schedule.n_timesteps ="
                f" {schedule.n_timesteps}"
            )
    if measures:
        yield from _subset_errors(config)
        yield from _quantity_errors(config)
    try:
        data_source(config.data.source)
    except PluginError as error:
        yield f"data.source: {error}"
    for name, gradient_pass in config.features.items():
        try:
            for function in gradient_pass.output_functions:
                output_function(function)
        except PluginError as error:
            yield f"features.{name}.output_functions: {error}"
        try:
            check_projector(gradient_pass.projector)
        except ConfigError as error:
            yield f"features.{name}.projector.{error}"
        if gradient_pass.curvature is None:
            continue
        if gradient_pass.curvature not in config.curvatures:
            defined = ", ".join(config.curvatures) or "none; add one under curvatures"
            yield (
                f"features.{name}.curvature: found {gradient_pass.curvature!r}, defined: {defined}"
            )
        if gradient_pass.projector.kind != "none":
            yield (
                f"features.{name}.projector.kind: found {gradient_pass.projector.kind}, allowed:"
                " none with a curvature, whose eigenvalues belong to single coordinates"
            )
    for name, embedding in config.embeddings.items():
        try:
            check_embedding(embedding, config.noise_schedule)
        except ConfigError as error:
            yield f"embeddings.{name}.{error}"
    if MODEL_FAMILIES[config.model.family].captions:
        yield from _caption_errors(config)
    else:
        yield from _network_errors(config)


def _subset_errors(config: Config) -> Iterator[str]:
    for name in ("lds", "retrain"):
        group = getattr(config.subsets, name)
        n = round(group.fraction * config.data.n_train)
        if not 0 < n < config.data.n_train:
            yield (
                f"subsets.{name}.fraction: found {group.fraction}, which makes subsets of {n}"
                f" of {config.data.n_train} training images; at least 1 and not all expected"
            )
    if config.data.split == "d-trak" and config.subsets.lds.count > D_TRAK_LDS_SUBSETS:
        yield (
            f"subsets.lds.count: found {config.subsets.lds.count}, allowed: at most"
            f" {D_TRAK_LDS_SUBSETS} with data.split d-trak, whose later subsets are those of the"
            " group retrain"
        )
    if config.subsets.lds.count < 3:
        yield (
            f"subsets.lds.count: found {config.subsets.lds.count}, allowed: at least 3, since"
            " LDS is a rank correlation over subsets"
        )
    n_queries = {"val": config.data.n_val, "gen": config.sampling.n_images}
    for name, listed in config.lds.query_lists.items():
        if max(listed.queries) >= n_queries[listed.split]:
            yield (
                f"lds.query_lists.{name}.queries: found {max(listed.queries)}, split"
                f" {listed.split} has queries 0 to {n_queries[listed.split] - 1}"
            )
    queries = {"data.n_val": config.data.n_val, "sampling.n_images": config.sampling.n_images}
    for key, n in queries.items():
        if n < config.lds.folds:
            yield f"lds.folds: found {config.lds.folds}, allowed: at most {key} = {n}"


def _quantity_errors(config: Config) -> Iterator[str]:
    if PRIMARY in config.lds.also_measured:
        yield f"lds.also_measured: found {PRIMARY}, which is always measured; remove it"
    for name in config.lds.also_measured:
        try:
            output_function(name)
        except PluginError as error:
            yield f"lds.also_measured: {error}"


def _caption_errors(config: Config) -> Iterator[str]:
    family = config.model.family
    try:
        sample_shape(config.model, config.data.resolution)
    except ConfigError as error:
        yield str(error)
        return
    n_classes = len(config.sampling.classes or ())
    if n_classes > config.sampling.n_images:
        yield (
            f"sampling.classes: found {n_classes} classes, allowed: at most sampling.n_images ="
            f" {config.sampling.n_images}"
        )
    if config.sampling.clip_sample:
        yield (
            f"sampling.clip_sample: found true, allowed: false for {family}, whose latents are not"
            " bounded by 1"
        )
    if config.jobs.models_per_stack > 1:
        yield (
            f"jobs.models_per_stack: found {config.jobs.models_per_stack}, allowed: 1 for {family},"
            " a model with attention"
        )
    if config.curvatures:
        yield (
            f"curvatures: found {', '.join(config.curvatures)}, allowed: none for {family}; EK-FAC"
            " is for networks that are trained as a whole"
        )


def _network_errors(config: Config) -> Iterator[str]:
    model, resolution = config.model.config, config.data.resolution
    size = model.get("sample_size")
    if size is not None and size != resolution:
        yield f"model.config.sample_size: found {size}, data.resolution is {resolution}"
    channels = model.get("block_out_channels")
    if isinstance(channels, list) and resolution % 2 ** (len(channels) - 1):
        yield (
            f"model.config.block_out_channels: {len(channels)} levels halve the image"
            f" {len(channels) - 1} times, which {resolution} pixels do not allow"
        )
    blocks = [*model.get("down_block_types", []), *model.get("up_block_types", [])]
    # diffusers puts attention into the middle of a network unless it is told not to.
    attends = model.get("add_attention", True) or any("Attn" in str(name) for name in blocks)
    for found, kind in ((model.get("dropout"), "dropout"), (attends, "attention")):
        if found and config.jobs.models_per_stack > 1:
            yield (
                f"jobs.models_per_stack: found {config.jobs.models_per_stack}, allowed: 1 for"
                f" a model with {kind}"
            )
