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

from msgspec.structs import asdict, replace

from diffattr.attribution import method_of
from diffattr.benchmark.checks import at_most
from diffattr.benchmark.methods import checkpoint_errors
from diffattr.config import Config, ConfigError, MethodOptions, Pass, Sweep, refuse
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
    axes = asdict(sweep.over)
    return {name: axis for name, axis in axes.items() if axis is not None and name != "lam"}


def expanded(config: Config) -> tuple[Config, list[Cell]]:
    """Return the config with every sweep's passes and methods, and the cells.

    Raises:
        ConfigError: a sweep is impossible; one line per error.
    """
    refuse(
        f"sweeps.{name}.{error}"
        for name, sweep in config.sweeps.items()
        for error in _errors(config, sweep)
    )
    features, methods, cells = dict(config.features), dict(config.methods), []
    for name, sweep in config.sweeps.items():
        for values in _combinations(sweep):
            share = values.get("checkpoint")
            cell = Cell(name, "-".join([name, *_words(values)]), values)
            if cell.method in methods:
                raise ConfigError(
                    f"sweeps.{name}: found a cell with the name of method {cell.method}; rename one"
                    " of them"
                )
            methods[cell.method] = MethodOptions(
                method=sweep.method,
                features=_feature_set(features, name, sweep, values),
                checkpoints=None if share is None else (share,),
            )
            cells.append(cell)
    return replace(config, features=features, methods=methods), cells


def _combinations(sweep: Sweep) -> Iterator[dict[str, Any]]:
    axes = axes_of(sweep)
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _feature_set(features: dict[str, Pass], name: str, sweep: Sweep, values: dict[str, Any]) -> str:
    """Return the feature set with a cell's settings; add its pass to `features` if missing."""
    base, _, output_function = sweep.features.partition("/")
    output_function = values.get("output_function", output_function)
    wanted = _varied(features[base], values)
    for other, found in features.items():
        if output_function in found.output_functions and _varied(found, {}) == wanted:
            return f"{other}/{output_function}"
    added = "-".join([name, *_words({key: values[key] for key in _PASS_AXES if key in values})])
    before = features[added].output_functions if added in features else ()
    features[added] = replace(wanted, output_functions=(*before, output_function))
    return f"{added}/{output_function}"


def _varied(base: Pass, values: dict[str, Any]) -> Pass:
    """Return a pass with a cell's settings, without output functions."""
    projector = replace(
        base.projector,
        k=values.get("k", base.projector.k),
        seed=values.get("projector_seed", base.projector.seed),
    )
    n_timesteps = values.get("n_timesteps", base.n_timesteps)
    return replace(base, n_timesteps=n_timesteps, projector=projector, output_functions=())


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
        limit = config.noise_schedule.n_timesteps
        yield from at_most("over.n_timesteps", n, "noise_schedule.n_timesteps", limit)
    for values in _combinations(sweep):
        try:
            check_projector(_varied(config.features[name], values).projector)
        except ConfigError as error:
            yield f"over.{error}"
    shares = axes.get("checkpoint", ())
    yield from (f"over.checkpoint: {error}" for error in checkpoint_errors(config, shares))
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
