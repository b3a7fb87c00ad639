"""Sweeps: a few lines of config that expand to many passes and methods.

A cell of a sweep is a method on a feature set that differs from the sweep's in the cell's values.
It reads an existing pass with these settings, or a pass is added for the missing output functions.
Afterwards cells are ordinary methods.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from diffattr.attribution import method_of
from diffattr.config import Config, ConfigError, MethodOptions, Pass, Sweep
from diffattr.features.projectors import check as check_projector
from diffattr.plugins import PluginError

_PASS_AXES = ("n_timesteps", "k", "projector_seed")
_SHORT = {"n_timesteps": "t", "k": "k", "projector_seed": "seed-", "checkpoint": "at-"}


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep's values, and the name of its method."""

    sweep: str
    method: str
    values: dict[str, Any]


def axes_of(sweep: Sweep) -> dict[str, tuple[Any, ...]]:
    """Return the axes of the cells, by name; lambda is not one, since every cell has its path."""
    named = {name: getattr(sweep.over, name) for name in sweep.over.__struct_fields__}
    return {name: found for name, found in named.items() if found is not None and name != "lam"}


def expanded(config: Config) -> tuple[Config, list[Cell]]:
    """Return the config with every sweep's passes and methods, and the cells.

    Raises:
        ConfigError: a sweep is impossible; one line per error.
    """
    errors = [
        f"sweeps.{name}.{error}"
        for name, sweep in config.sweeps.items()
        for error in _errors(config, sweep)
    ]
    if errors:
        raise ConfigError("\n".join(errors))
    features, methods, cells = dict(config.features), dict(config.methods), []
    for name, sweep in config.sweeps.items():
        for values in _combinations(sweep):
            gradient_pass = _pass(features, name, sweep, values)
            output_function = _output_function(sweep, values)
            share = values.get("checkpoint")
            cell = Cell(name, "-".join([name, *_words(values)]), values)
            if cell.method in methods:
                raise ConfigError(
                    f"sweeps.{name}: found a cell with the name of method {cell.method}; rename one"
                    " of them"
                )
            methods[cell.method] = MethodOptions(
                method=sweep.method,
                features=f"{gradient_pass}/{output_function}",
                checkpoints=None if share is None else (share,),
            )
            cells.append(cell)
    return msgspec.structs.replace(config, features=features, methods=methods), cells


def _combinations(sweep: Sweep) -> Iterator[dict[str, Any]]:
    axes = axes_of(sweep)
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _output_function(sweep: Sweep, values: dict[str, Any]) -> str:
    return values.get("output_function", sweep.features.partition("/")[2])


def _pass(features: dict[str, Pass], name: str, sweep: Sweep, values: dict[str, Any]) -> str:
    """Return the name of the pass with a cell's settings; add it to `features` if missing."""
    output_function = _output_function(sweep, values)
    wanted = _varied(features[sweep.features.partition("/")[0]], values)
    for other, found in features.items():
        if _settings(found) == _settings(wanted) and output_function in found.output_functions:
            return other
    added = "-".join([name, *_words({key: values[key] for key in _PASS_AXES if key in values})])
    before = features[added].output_functions if added in features else ()
    features[added] = msgspec.structs.replace(wanted, output_functions=(*before, output_function))
    return added


def _varied(base: Pass, values: dict[str, Any]) -> Pass:
    projector = msgspec.structs.replace(
        base.projector,
        k=values.get("k", base.projector.k),
        seed=values.get("projector_seed", base.projector.seed),
    )
    n_timesteps = values.get("n_timesteps", base.n_timesteps)
    return msgspec.structs.replace(base, n_timesteps=n_timesteps, projector=projector)


def _settings(gradient_pass: Pass) -> Pass:
    return msgspec.structs.replace(gradient_pass, output_functions=())


def _words(values: dict[str, Any]) -> list[str]:
    return [re.sub("[.:]", "-", f"{_SHORT.get(key, '')}{value}") for key, value in values.items()]


def _errors(config: Config, sweep: Sweep) -> Iterator[str]:
    try:
        method, axes = method_of(sweep.method), axes_of(sweep)
    except PluginError as error:
        yield f"method: {error}"
        return
    if method.reads != "features":
        yield f"method: found {sweep.method}, which reads no features"
        return
    name, _, output_function = sweep.features.partition("/")
    known = [f"{key}/{f}" for key, p in config.features.items() for f in p.output_functions]
    if sweep.features not in known:
        yield f"features: found {sweep.features!r}, defined: {', '.join(known)}"
        return
    if not axes:
        yield "over: found nothing to vary; name at least one axis in addition to lambda"
    functions = axes.get("output_function", (output_function,))
    if method.output_function is not None and set(functions) != {method.output_function}:
        yield (
            f"over.output_function: found {', '.join(functions)}, but {sweep.method} is for"
            f" {method.output_function}; method kernel accepts any"
        )
    for n in axes.get("n_timesteps", ()):
        if n > config.noise_schedule.n_timesteps:
            yield (
                f"over.n_timesteps: found {n}, allowed: at most noise_schedule.n_timesteps ="
                f" {config.noise_schedule.n_timesteps}"
            )
    for values in _combinations(sweep):
        try:
            check_projector(_varied(config.features[name], values).projector)
        except ConfigError as error:
            yield f"over.{error}"
    kept = {config.step(share) for share in (*config.full_model.checkpoints, 1.0)}
    for share in axes.get("checkpoint", ()):
        if config.step(share) not in kept:
            yield (
                f"over.checkpoint: found {share}, which is not kept; add it to"
                f" full_model.checkpoints = {list(config.full_model.checkpoints)}"
            )
    for lam in sweep.over.lam or ():
        if not method.has_lambda:
            yield f"over.lambda: found, but {sweep.method} has no lambda"
            return
        measurement = config.measurement
        if measurement is not None and lam not in measurement.lambdas.relative:
            yield (
                f"over.lambda: found {lam}, which is not in measurement.lambdas.relative; add it"
                " there"
            )
