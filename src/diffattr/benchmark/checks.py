"""Errors in a config that its schema cannot find, one sentence each."""

from collections.abc import Callable, Iterator
from typing import Any

from diffattr.benchmark.methods import method_errors
from diffattr.benchmark.pretrained import pretrained_errors
from diffattr.config import PRIMARY, Config, ConfigError, Measurement, Pass
from diffattr.counterfactual.removals import removal_errors
from diffattr.data import data_source
from diffattr.data.subsets import D_TRAK_LDS_SUBSETS
from diffattr.diffusion.families import MODEL_FAMILIES, sample_shape
from diffattr.features.embeddings import check as check_embedding
from diffattr.features.output_functions import output_function
from diffattr.features.projectors import check as check_projector
from diffattr.plugins import PluginError


def benchmark_errors(config: Config) -> Iterator[str]:
    """Yield everything that is wrong with a completed config whose sweeps are expanded."""
    yield from _section_errors(config)
    yield from _value_errors(config)
    if config.model.pretrained is not None:
        yield from pretrained_errors(config)
    if config.measurement is not None:
        yield from _measurement_errors(config, config.measurement)
    yield from removal_errors(config)
    for name in config.methods:
        yield from (f"methods.{name}.{error}" for error in method_errors(config, name))


def _section_errors(config: Config) -> Iterator[str]:
    """Yield which optional sections are missing, or are not used by anything."""
    if config.training is None and config.model.pretrained is None:
        yield (
            "training: this key is missing; add it, or name a trained pipeline under"
            " model.pretrained"
        )
    if not config.data.n_val and config.sampling is None and not config.data.n_planted:
        yield (
            "queries: there are none; name a folder of images under queries, add sampling to"
            " generate some, or set data.n_planted to use training images"
        )
    if config.measurement is not None and config.sampling is None:
        yield "sampling: this key is missing; with measurement, LDS is measured on split gen too"
    if config.measurement is not None:
        return
    if config.counterfactual is not None:
        yield "counterfactual: found, but it compares the losses of section measurement; add that"
    if config.sweeps and config.model.pretrained is None:
        yield "sweeps: found, but their cells are compared by LDS, which needs measurement"
    if config.report.published is not None:
        yield "report.published: found, but without measurement there is no LDS to compare"


def _value_errors(config: Config) -> Iterator[str]:
    schedule = config.noise_schedule
    beta_start, beta_end = schedule.beta_start, schedule.beta_end
    yield from at_most("noise_schedule.beta_start", beta_start, "beta_end", beta_end)
    if config.data.n_planted >= config.data.n_train:
        yield (
            f"data.n_planted: found {config.data.n_planted}, allowed: less than n_train ="
            f" {config.data.n_train}, since planted images are training images"
        )
    timesteps = {
        f"{section}.{name}.n_timesteps": entry.n_timesteps
        for section in ("features", "curvatures")
        for name, entry in getattr(config, section).items()
    }
    if config.sampling is not None:
        timesteps["sampling.n_steps"] = config.sampling.n_steps
    if config.measurement is not None:
        timesteps["measurement.losses.n_timesteps"] = config.measurement.losses.n_timesteps
    for key, n in timesteps.items():
        yield from at_most(key, n, "noise_schedule.n_timesteps", schedule.n_timesteps)
    yield from _refusal("data.source: ", data_source, config.data.source)
    for name, gradient_pass in config.features.items():
        yield from _pass_errors(config, f"features.{name}", gradient_pass)
    for name, embedding in config.embeddings.items():
        yield from _refusal(f"embeddings.{name}.", check_embedding, embedding, schedule)
    if MODEL_FAMILIES[config.model.family].text_conditioned:
        yield from _caption_errors(config)
    elif config.model.pretrained is None:
        yield from _network_errors(config)


def at_most(key: str, found: int | float, limit: str, value: int | float) -> Iterator[str]:
    """Yield that the value of a key exceeds a limit, if it does."""
    if found > value:
        yield f"{key}: found {found}, allowed: at most {limit} = {value}"


def _refusal(prefix: str, function: Callable[..., Any], *arguments: Any) -> Iterator[str]:
    """Call a function; yield its error if it raises one."""
    try:
        function(*arguments)
    except (ConfigError, PluginError) as error:
        yield f"{prefix}{error}"


def _pass_errors(config: Config, key: str, gradient_pass: Pass) -> Iterator[str]:
    for function in gradient_pass.output_functions:
        yield from _refusal(f"{key}.output_functions: ", output_function, function)
    yield from _refusal(f"{key}.projector.", check_projector, gradient_pass.projector)
    if gradient_pass.curvature is None:
        return
    if gradient_pass.curvature not in config.curvatures:
        defined = ", ".join(config.curvatures) or "none; add one under curvatures"
        yield f"{key}.curvature: found {gradient_pass.curvature!r}, defined: {defined}"
    if gradient_pass.projector.kind != "none":
        yield (
            f"{key}.projector.kind: found {gradient_pass.projector.kind}, allowed: none with a"
            " curvature, whose eigenvalues belong to single coordinates"
        )


def _measurement_errors(config: Config, measurement: Measurement) -> Iterator[str]:
    subsets, lds = measurement.subsets, measurement.lds
    for name in ("lds", "retrain"):
        group = getattr(subsets, name)
        n = round(group.fraction * config.data.n_train)
        if not 0 < n < config.data.n_train:
            yield (
                f"measurement.subsets.{name}.fraction: found {group.fraction}, which gives subsets"
                f" of {n} of {config.data.n_train} training images; expected at least 1, not all"
            )
    if config.data.split == "d-trak" and subsets.lds.count > D_TRAK_LDS_SUBSETS:
        yield (
            f"measurement.subsets.lds.count: found {subsets.lds.count}, allowed: at most"
            f" {D_TRAK_LDS_SUBSETS} with data.split d-trak, whose later subsets are in group"
            " retrain"
        )
    if subsets.lds.count < 3:
        yield (
            f"measurement.subsets.lds.count: found {subsets.lds.count}, allowed: at least 3, since"
            " LDS is a rank correlation over subsets"
        )
    if PRIMARY in lds.also_measured:
        yield f"measurement.lds.also_measured: found {PRIMARY}, which is always measured; remove it"
    for name in lds.also_measured:
        yield from _refusal("measurement.lds.also_measured: ", output_function, name)
    n_gen = 0 if config.sampling is None else config.sampling.n_images
    n_queries = {"val": config.data.n_val, "gen": n_gen}
    for name, listed in lds.query_lists.items():
        if max(listed.queries) >= n_queries[listed.split]:
            yield (
                f"measurement.lds.query_lists.{name}.queries: found {max(listed.queries)}, split"
                f" {listed.split} has queries 0 to {n_queries[listed.split] - 1}"
            )
    for key, n in (("data.n_val", config.data.n_val), ("sampling.n_images", n_gen)):
        yield from at_most("measurement.lds.folds", lds.folds, key, n)


def _caption_errors(config: Config) -> Iterator[str]:
    family = config.model.family
    if errors := list(_refusal("", sample_shape, config.model, config.data.resolution)):
        yield from errors
        return
    sampling = config.sampling
    if sampling is not None and len(sampling.classes or ()) > sampling.n_images:
        yield (
            f"sampling.classes: found {len(sampling.classes or ())} classes, allowed: at most"
            f" sampling.n_images = {sampling.n_images}"
        )
    if sampling is not None and sampling.clip_sample:
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
            f"curvatures: found {', '.join(config.curvatures)}, allowed: none for {family}, since"
            " EK-FAC needs all weights to be trained"
        )


def _network_errors(config: Config) -> Iterator[str]:
    model, resolution = config.model.config, config.data.resolution
    size = model.get("sample_size")
    if size is not None and size != resolution:
        yield f"model.config.sample_size: found {size}, expected data.resolution = {resolution}"
    channels = model.get("block_out_channels")
    if isinstance(channels, list) and resolution % 2 ** (len(channels) - 1):
        yield (
            f"model.config.block_out_channels: {len(channels)} levels halve the image"
            f" {len(channels) - 1} times, which {resolution} pixels do not allow"
        )
    blocks = str([model.get("down_block_types"), model.get("up_block_types")])
    # diffusers puts attention into the middle block unless add_attention is false.
    attends = model.get("add_attention", True) or "Attn" in blocks
    for found, kind in ((model.get("dropout"), "dropout"), (attends, "attention")):
        if found and config.jobs.models_per_stack > 1:
            yield (
                f"jobs.models_per_stack: found {config.jobs.models_per_stack}, allowed: 1 for"
                f" a model with {kind}"
            )
