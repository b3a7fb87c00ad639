"""What a method of the config stands for: which features, at which models, with which weights.

Everything that a method needs and the benchmark does not make is refused here, with what to add to
the config.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diffattr.attribution import method_of
from diffattr.attribution.base import (
    KernelMethod,
    Method,
    PatchMethod,
    RetrainingMethod,
    with_options,
)
from diffattr.attribution.file_scores import FileScores
from diffattr.benchmark.paths import FULL, checkpoint_model, retrain_model, seed_model
from diffattr.config import Config, ConfigError, SubsetGroup, present
from diffattr.plugins import PluginError

Needs = Literal["no gradients", "gradients", "checkpoints", "retraining", "computed elsewhere"]
"""What a method costs beyond the model that is asked about; the report groups methods by it."""


@dataclass(frozen=True)
class PlannedMethod:
    """A method of the config with what follows from it.

    `models` names where features are taken, with the weight of each in the mean of scores; empty
    for a method that reads none. `n_retrained` is how many models a retraining-based method learns
    from.
    """

    name: str
    kind: str
    method: Method
    gradient_pass: str | None = None
    output_function: str | None = None
    embedding: str | None = None
    models: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    n_retrained: int | None = None

    @property
    def feature_set(self) -> tuple[str, str]:
        """Pass and output function of a method that reads features."""
        assert self.gradient_pass is not None
        assert self.output_function is not None
        return self.gradient_pass, self.output_function

    @property
    def has_lambda(self) -> bool:
        """Whether the method has a lambda path."""
        return self.method.has_lambda

    @property
    def noises(self) -> bool:
        """Whether the method noises images itself, and so depends on the schedule."""
        return isinstance(self.method, PatchMethod)

    @property
    def solves(self) -> bool:
        """Whether the method solves with a kernel, or with what stands for one."""
        return isinstance(self.method, KernelMethod)

    @property
    def follows_trajectory(self) -> bool:
        """Whether queries are taken along their sampling trajectory, which val has none of."""
        return self.method.follows_trajectory

    @property
    def files(self) -> dict[str, str]:
        """The files of scores that were computed elsewhere, by split."""
        return self.method.files if isinstance(self.method, FileScores) else {}

    def answers(self, split: str) -> bool:
        """Return whether the method scores the queries of a split."""
        if isinstance(self.method, FileScores):
            return split in self.files
        return split == "gen" or not self.follows_trajectory

    @property
    def needs(self) -> Needs:
        """The group of the method in the report."""
        if isinstance(self.method, FileScores):
            return "computed elsewhere"
        if self.method.reads == "losses" or any(not m.startswith(FULL) for m in self.models):
            return "retraining"
        if self.method.reads != "features":
            return "no gradients"
        if len(self.models) == 1:
            return "gradients"
        return "checkpoints" if all("-seed-" not in m for m in self.models) else "retraining"


def planned_method(config: Config, name: str) -> PlannedMethod:
    """Return what a method of the config stands for, which `method_errors` has nothing against."""
    options = config.methods[name]
    method = with_options(method_of(options.method), options.options)
    common = {"name": name, "kind": options.method, "method": method}
    if method.reads == "features":
        assert options.features is not None
        gradient_pass, _, output_function = options.features.partition("/")
        models, weights = _models(config, name)
        return PlannedMethod(
            **common,
            gradient_pass=gradient_pass,
            output_function=output_function,
            models=models,
            weights=weights,
        )
    if method.reads == "losses":
        return PlannedMethod(**common, n_retrained=options.models or _retrained(config).count)
    return PlannedMethod(**common, embedding=options.embedding)


def _models(config: Config, name: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the models at which features are taken, and their weights."""
    options = config.methods[name]
    if options.ensemble is not None:
        count, seed = options.ensemble.count, config.full_model.seed
        if options.ensemble.of == "retrain":
            first = _retrained(config).seeds[0]
            models = tuple(retrain_model(subset, first) for subset in range(count))
        else:
            models = (FULL, *(seed_model(seed + number) for number in range(1, count)))
        return models, (1.0,) * count
    if options.checkpoints is None:
        return (FULL,), (1.0,)
    steps = sorted({config.step(share) for share in options.checkpoints})
    models = tuple(FULL if step == config.n_steps else checkpoint_model(step) for step in steps)
    if method_of(options.method).weights == "learning-rate":
        return models, _mean_learning_rates(config, steps)
    return models, (1.0,) * len(models)


def _retrained(config: Config) -> SubsetGroup:
    """Return the group of subsets that feeds retraining-based methods; empty without one."""
    if config.measurement is None:
        return SubsetGroup(count=0, fraction=0.5, seeds=(0,))
    return config.measurement.subsets.retrain


def _mean_learning_rates(config: Config, steps: list[int]) -> tuple[float, ...]:
    """Return the mean learning rate of the steps between each checkpoint and the one before."""
    weights, training = [], present(config.training, "training")
    for start, stop in zip([0, *steps[:-1]], steps, strict=True):
        factors = [
            training.learning_rate_factor(step, config.n_steps) for step in range(start, stop)
        ]
        mean = sum(factors) / len(factors) if factors else 0.0
        weights.append(training.learning_rate * mean)
    return tuple(weights)


def method_errors(config: Config, name: str) -> list[str]:
    """Return what is wrong with one method, above all what it needs and nothing makes."""
    return [f"methods.{name}.{error}" for error in _errors(config, name)]


def _errors(config: Config, name: str) -> Iterator[str]:
    """Yield what is wrong with one method, each starting with the key below it."""
    options = config.methods[name]
    try:
        method = method_of(options.method)
    except PluginError as error:
        yield f"method: {error}"
        return
    further = {"losses": "retrained models", "checkpoints": "checkpoints"}
    if config.model.pretrained is not None:
        for reads in {method.reads, method.over} & set(further):
            yield f"method: {options.method} needs {further[reads]}; a pretrained model has none"
            return
    readers = {
        "features": "features",
        "checkpoints": "features",
        "ensemble": "features",
        "embedding": "embedding",
        "models": "losses",
    }
    for key, reads in readers.items():
        if getattr(options, key) is not None and method.reads != reads:
            yield f"{key}: found, but {options.method} reads no {reads}; remove the key"
    try:
        method = with_options(method, options.options)
    except ConfigError as error:
        yield f"options.{error}"
        if method.reads == "files":
            return  # Its options are all there is to it.
    if method.follows_trajectory and config.sampling is None:
        yield f"method: {options.method} follows the sampler; add section sampling"
    n_timesteps = config.noise_schedule.n_timesteps
    if isinstance(method, PatchMethod) and method.timestep >= n_timesteps:
        yield (
            f"options.timestep: found {method.timestep}, allowed: below noise_schedule.n_timesteps"
            f" = {n_timesteps}"
        )
    if method.reads == "features":
        yield from _feature_errors(config, name)
        yield from _model_errors(config, name)
    elif method.reads == "embedding":
        defined = ", ".join(config.embeddings) or "none; add one under embeddings"
        if options.embedding is None:
            yield f"embedding: this key is missing; defined: {defined}"
        elif options.embedding not in config.embeddings:
            yield f"embedding: found {options.embedding!r}, defined: {defined}"
    elif isinstance(method, RetrainingMethod):
        yield from _retraining_errors(config, name, method)
    elif isinstance(method, FileScores):
        yield from _file_errors(config, method)


def _feature_errors(config: Config, name: str) -> Iterator[str]:
    options = config.methods[name]
    method = method_of(options.method)
    known = [f"{p}/{f}" for p, taken in config.features.items() for f in taken.output_functions]
    if options.features is None:
        yield f"features: this key is missing; defined: {', '.join(known)}"
        return
    if options.features not in known:
        yield f"features: found {options.features!r}, defined: {', '.join(known)}"
        return
    gradient_pass, _, found = options.features.partition("/")
    wanted = method.output_function
    if wanted is not None and found != wanted:
        yield f"features: found {found}, but method {options.method} is for {wanted}"
    unit_gradients = method.unit_gradients
    if unit_gradients and not config.features[gradient_pass].unit_gradients:
        yield (
            f"features: pass {gradient_pass} averages gradients as they are, but"
            f" {options.method} needs features.{gradient_pass}.unit_gradients: true"
        )

    if method.curvature and config.features[gradient_pass].curvature is None:
        yield (
            f"features: pass {gradient_pass} is not in the eigenbasis of a curvature, but"
            f" {options.method} needs features.{gradient_pass}.curvature"
        )
    if (
        isinstance(method, KernelMethod)
        and not method.curvature
        and config.features[gradient_pass].curvature is not None
    ):
        yield (
            f"features: pass {gradient_pass} is in the eigenbasis of a curvature, whose place"
            f" {options.method} has a kernel for; name another pass"
        )


def _model_errors(config: Config, name: str) -> Iterator[str]:
    options = config.methods[name]
    method = method_of(options.method)
    if options.checkpoints is not None and options.ensemble is not None:
        yield "ensemble: found beside checkpoints; a method is averaged over one of the two"
    if method.over == "checkpoints" and options.checkpoints is None:
        kept = ", ".join(map(str, [*config.full_model.checkpoints, 1.0]))
        yield (
            f"checkpoints: this key is missing; {options.method} averages over checkpoints of the"
            f" full model (kept: {kept}; full_model.checkpoints says which)"
        )
    kept_steps = {config.step(share) for share in (*config.full_model.checkpoints, 1.0)}
    for share in options.checkpoints or ():
        if config.step(share) not in kept_steps:
            yield (
                f"checkpoints: found {share}, which is not kept; add it to full_model.checkpoints"
                f" = {list(config.full_model.checkpoints)}"
            )
    steps = [config.step(share) for share in options.checkpoints or ()]
    if method.weights == "learning-rate" and steps and not any(steps):
        yield (
            "checkpoints: only the initial weights were found, to which no learning rate"
            " belongs; add a later one"
        )
    ensemble, count = options.ensemble, _retrained(config).count
    if ensemble is not None and ensemble.of == "retrain" and ensemble.count > count:
        yield (
            f"ensemble.count: found {ensemble.count}, but measurement.subsets.retrain.count is {count};"
            " raise it"
        )


def _retraining_errors(config: Config, name: str, method: RetrainingMethod) -> Iterator[str]:
    options, count = config.methods[name], _retrained(config).count
    if count == 0:
        yield (
            f"method: {options.method} learns from retrained models, and this benchmark has none;"
            " set measurement.subsets.retrain.count"
        )
        return
    n_models, least = options.models or count, method.least_models
    if n_models > count:
        yield f"models: found {n_models}, but measurement.subsets.retrain.count is {count}; raise it"
    if n_models < least:
        yield f"models: found {n_models}, {options.method} needs at least {least}"


def _file_errors(config: Config, method: FileScores) -> Iterator[str]:
    if method.val is None and method.gen is None and config.measurement is not None:
        yield "options: names a file neither for val nor for gen, where LDS is measured; add one"
    there = {
        "val": config.data.n_val,
        "gen": config.sampling is not None,
        "planted": config.data.n_planted,
    }
    for split in method.files:
        if not there[split]:
            yield f"options.{split}: found, but this benchmark has no split {split}; remove the key"
    for split, path in method.files.items():
        if not Path(path).is_file():
            yield f"options.{split}: {path} does not exist; write the scores of split {split} there"
