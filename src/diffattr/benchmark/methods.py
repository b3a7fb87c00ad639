"""What a method of the config stands for: which features, at which models, with which weights.

Everything that a method needs and the benchmark does not make is refused here, with what to add to
the config.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from diffattr.attribution import method_of
from diffattr.attribution.method import (
    KEYS,
    Available,
    Method,
    Needs,
    Reading,
    with_options,
)
from diffattr.benchmark.paths import (
    FULL,
    LDS_SPLITS,
    checkpoint_model,
    retrain_model,
    seed_model,
)
from diffattr.config import Config, ConfigError, SubsetGroup, present
from diffattr.plugins import PluginError


@dataclass(frozen=True, kw_only=True)
class PlannedMethod(Reading):
    """A method of the config with what follows from it; `kind` is its name in the registry."""

    name: str
    kind: str
    method: Method

    @property
    def has_lambda(self) -> bool:
        """Whether the method has a lambda path."""
        return self.method.has_lambda

    @property
    def follows_trajectory(self) -> bool:
        """Whether queries are taken along their sampling trajectory, which val has none of."""
        return self.method.follows_trajectory

    def answers(self, split: str) -> bool:
        """Return whether the method scores the queries of a split."""
        return self.method.unanswered(split) is None

    @property
    def needs(self) -> Needs:
        """The group of the method in the report."""
        if any(not model.startswith(FULL) for model in self.models):
            return "retraining"
        if len(self.models) < 2:
            return self.method.needs
        return "checkpoints" if all("-seed-" not in m for m in self.models) else "retraining"


def planned_method(config: Config, name: str) -> PlannedMethod:
    """Return what a method of the config stands for, which `method_errors` has nothing against."""
    options = config.methods[name]
    method = with_options(method_of(options.method), options.options)
    gradient_pass, output_function, models, weights = None, None, (), ()
    if options.features is not None:
        gradient_pass, _, output_function = options.features.partition("/")
        models, weights = _models(config, name)
    return PlannedMethod(
        name=name,
        kind=options.method,
        method=method,
        gradient_pass=gradient_pass,
        output_function=output_function,
        embedding=options.embedding,
        models=models,
        weights=weights,
        n_retrained=(options.models or _retrained(config).count if method.least_models else None),
    )


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


def _available(config: Config) -> Available:
    """Return what a benchmark has that methods may need."""
    counts = {
        "val": config.data.n_val,
        "gen": 0 if config.sampling is None else config.sampling.n_images,
        "planted": config.data.n_planted,
    }
    return Available(
        passes=config.features,
        embeddings=config.embeddings,
        n_timesteps=config.noise_schedule.n_timesteps,
        n_retrained=_retrained(config).count,
        query_splits=[split for split, count in counts.items() if count],
        measured_splits=() if config.measurement is None else LDS_SPLITS,
    )


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
    if config.model.pretrained is not None:
        further = {"retrained models": method.least_models, "checkpoints": method.over != "any"}
        for needed in filter(further.get, further):
            yield f"method: {options.method} needs {needed}; a pretrained model has none"
            return
    for key, named in KEYS.items():
        if getattr(options, key) is not None and key not in method.keys:
            yield f"{key}: found, but {options.method} reads no {named}; remove the key"
    if "checkpoints" in method.keys:
        yield from _model_errors(config, name)
    try:
        method = with_options(method, options.options)
    except ConfigError as error:
        yield f"options.{error}"
    else:
        yield from method.errors(options, _available(config))


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
            f"ensemble.count: found {ensemble.count}, but measurement.subsets.retrain.count is"
            f" {count}; raise it"
        )
