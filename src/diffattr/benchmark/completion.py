"""Reading of configs, and the values of keys that a config leaves out.

* With `model.pretrained` the pipeline gives the noise schedule, the resolution, the sampler's
  settings and the network's config, and a LoRA's file its rank.
* For a LoRA the pipeline gives `model.config.unet`.
* Otherwise `data.resolution` is `model.config.sample_size`.
* `data.n_train` and `queries.n_images` are all images of their folders; `data.n_val` is
  `queries.n_images` where queries come from a folder.
* A method that reads features and names none reads the pass `default`: 10 timesteps, common noise,
  `sjlt` with k = 4096; `default-unit` scales each timestep's gradient to length 1 for the methods
  that need it. The output function is the one that the method is defined for, else `loss`.
"""

import contextlib
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from diffattr.artifacts import ArtifactError, read_json, write_json
from diffattr.attribution import method_of
from diffattr.benchmark.pretrained import adapter_config, pipeline_values
from diffattr.config import Config, ConfigError, Model, check, refuse, typed
from diffattr.data import DATA_SOURCES
from diffattr.data.image_files import visible_files
from diffattr.diffusion.families import MODEL_FAMILIES, pipeline_of
from diffattr.plugins import PluginError

_DEFAULT_PASS = {"n_timesteps": 10, "noise": "common", "projector": {"kind": "sjlt", "k": 4096}}


def read_config(raw: Any, schema: dict[str, Any], source: str) -> Config:
    """Return the completed config of a file's content, as read from YAML.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    check(raw, schema, source)
    try:
        filled = _completed(raw)
    except ConfigError as error:
        refuse(str(error).splitlines(), source)
        raise
    return typed(filled, Config, source)


def _completed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that fits the schema, with the keys filled in that it leaves out."""
    config = copy.deepcopy(dict(raw))
    data, model = config["data"], msgspec.convert(config["model"], Model)
    if MODEL_FAMILIES[model.family].text_conditioned:
        model = msgspec.structs.replace(model, config=adapter_config(model))
        config["model"]["config"] = model.config
    else:
        _default(data, "resolution", model.config.get("sample_size"))
    if model.pretrained is not None:
        _add_pipeline(config, model)
    if (queries := config.get("queries")) is not None:
        _default(queries, "n_images", _n_files("queries.folder", queries["folder"]))
        if data.setdefault("n_val", queries["n_images"]) != queries["n_images"]:
            raise ConfigError(
                f"data.n_val: found {data['n_val']}, but split val is the folder queries.folder;"
                " remove data.n_val"
            )
    source = DATA_SOURCES.get(data["source"])
    if source is not None and source.is_folder and data.get("folder") is not None:
        n_held_out = 0 if queries is not None else data.get("n_val", 0)
        _default(data, "n_train", _n_files("data.folder", data["folder"]) - n_held_out)
    _add_passes(config)
    return config


def _default(section: dict[str, Any], key: str, value: Any) -> None:
    if section.get(key) is None and value is not None:
        section[key] = value


def _n_files(key: str, folder: str) -> int:
    if not Path(folder).is_dir():
        raise ConfigError(f"{key}: {folder} is not a folder; name the folder of your images")
    if not (files := visible_files(Path(folder))):
        raise ConfigError(f"{key}: {folder} holds no files; name the folder of your images")
    return len(files)


def _add_pipeline(config: dict[str, Any], model: Model) -> None:
    found = _in_pipeline(config["name"], model)
    if model.config not in ({}, found["config"]):
        raise ConfigError(
            f"model.config: found {', '.join(model.config)}; remove it, the pipeline"
            f" {model.pretrained} contains it"
        )
    config["model"]["config"] = found["config"]
    config["noise_schedule"] = {**found["noise_schedule"], **config.get("noise_schedule", {})}
    if config.get("sampling") is not None:
        config["sampling"] = {**found["sampling"], **config["sampling"]}
    _default(config["data"], "resolution", found["resolution"])


def _in_pipeline(name: str, model: Model) -> dict[str, Any]:
    """Return the values in a pipeline's files."""
    if pipeline_of(model).is_local:
        return pipeline_values(model)
    # Every job completes the config: the values are kept, so that the Hub is asked once.
    path, key = f"results/{name}/pipeline.json", msgspec.to_builtins(model)
    with contextlib.suppress(ArtifactError, KeyError, TypeError):
        kept = read_json(path)
        if kept["model"] == key:
            return kept["values"]
    values = pipeline_values(model)
    write_json(path, {"model": key, "values": values})
    return values


def _add_passes(config: dict[str, Any]) -> None:
    for options in config["methods"].values():
        try:
            method = method_of(options["method"])
        except PluginError:
            continue  # reported by `method_errors`
        if method.reads != "features" or method.curvature or options.get("features") is not None:
            continue
        name = "default-unit" if method.unit_gradients else "default"
        output_function = method.output_function or "loss"
        passes = config.setdefault("features", {})
        chosen = passes.setdefault(name, {**_DEFAULT_PASS, "output_functions": []})
        if method.unit_gradients:
            chosen["unit_gradients"] = True
        if output_function not in chosen["output_functions"]:
            # A new list: by an anchor in the YAML, passes may share the old one.
            chosen["output_functions"] = [*chosen["output_functions"], output_function]
        options["features"] = f"{name}/{output_function}"
