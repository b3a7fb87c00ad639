"""A method of the config: its feature set, its models and their weights.

What a method needs and the benchmark lacks is refused here, with what to add to the config.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from diffattr.attribution import method_of
from diffattr.attribution.lambda_rule import named_lambda
from diffattr.attribution.method import KEYS, Method, Needs, ask, with_options
from diffattr.benchmark.paths import FULL, checkpoint_model
from diffattr.config import Config, ConfigError, MethodOptions, present
from diffattr.plugins import PluginError


@dataclass(frozen=True, kw_only=True)
class PlannedMethod:
    """A method of the config with what follows from it; `kind` is its name in the registry.

    `models` names where features are computed, with the weight of each in the mean of scores; both
    are empty for a method that reads none. `n_retrained` is the number of retrained models that a
    retraining-based method learns from, None for others.
    """

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
    def needs(self) -> Needs:
        """The group of the method in the report."""
        # The models of subsets, and the full models of further seeds.
        if any("-seed-" in model for model in self.models):
            return "retraining"
        return "checkpoints" if len(self.models) > 1 else self.method.needs


def planned_method(config: Config, name: str) -> PlannedMethod:
    """Return a method of the config; `method_errors` must have found nothing wrong with it."""
    options = config.methods[name]
    method = with_options(method_of(options.method), options.options)
    planned = PlannedMethod(kind=options.method, method=method, embedding=options.embedding)
    if options.features is not None:
        gradient_pass, _, output_function = options.features.partition("/")
        models, weights = _models(config, options)
        return replace(
            planned,
            gradient_pass=gradient_pass,
            output_function=output_function,
            models=models,
            weights=weights,
        )
    if method.reads == "losses":
        retrained = present(config.measurement, "measurement").subsets.retrain
        return replace(planned, n_retrained=options.models or retrained.count)
    return planned


def _models(config: Config, options: MethodOptions) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the models at which features are computed, and their weights."""
    if options.ensemble is not None:
        count, seed = options.ensemble.count, config.full_model.seed
        if options.ensemble.of == "retrain":
            first = present(config.measurement, "measurement").subsets.retrain.seeds[0]
            models = tuple(f"retrain-{subset}-seed-{first}" for subset in range(count))
        else:
            models = (FULL, *(f"{FULL}-seed-{seed + number}" for number in range(1, count)))
        return models, (1.0,) * count
    if options.checkpoints is None:
        return (FULL,), (1.0,)
    steps = sorted({config.step(share) for share in options.checkpoints})
    models = tuple(FULL if step == config.n_steps else checkpoint_model(step) for step in steps)
    if method_of(options.method).weights == "learning-rate":
        pairs = itertools.pairwise([0, *steps])
        return models, tuple(_mean_learning_rate(config, start, stop) for start, stop in pairs)
    return models, (1.0,) * len(models)


def _mean_learning_rate(config: Config, start: int, stop: int) -> float:
    """Return the mean learning rate of the steps from one checkpoint to the next."""
    training = present(config.training, "training")
    factors = [training.learning_rate_factor(step, config.n_steps) for step in range(start, stop)]
    return training.learning_rate * (sum(factors) / len(factors) if factors else 0.0)


def method_errors(config: Config, name: str) -> Iterator[str]:
    """Yield what is wrong with one method; each line starts with a key of its section."""
    options = config.methods[name]
    try:
        method = method_of(options.method)
    except PluginError as error:
        yield f"method: {error}"
        return
    if config.model.pretrained is not None:
        needed = "retrained models" if method.reads == "losses" else "checkpoints"
        if method.reads == "losses" or method.over == "checkpoints":
            yield f"method: {options.method} needs {needed}; a pretrained model has none"
            return
    for reads, keys in KEYS.items():
        for key in keys:
            if getattr(options, key) is not None and method.reads != reads:
                yield f"{key}: found, but {options.method} reads no {reads}; remove the key"
    if method.reads == "features":
        yield from _model_errors(config, options, method)
    yield from _lambda_errors(config, options, method)
    try:
        method = with_options(method, options.options)
    except ConfigError as error:
        yield f"options.{error}"
    else:
        try:
            yield from ask(method, lambda: list(method.errors(options, config)))
        except PluginError as error:
            yield f"method: {error}"


def _lambda_errors(config: Config, options: MethodOptions, method: Method) -> Iterator[str]:
    if not method.has_lambda:
        if options.lam is not None:
            yield f"lambda: found, but {options.method} has none; remove the key"
    elif config.measurement is None:
        try:
            named_lambda(options.method, options.lam)
        except ConfigError as error:
            yield str(error)
    elif options.lam is not None:
        yield "lambda: found, but LDS selects lambda here; remove the key"


def _model_errors(config: Config, options: MethodOptions, method: Method) -> Iterator[str]:
    if options.checkpoints is not None and options.ensemble is not None:
        yield "ensemble: found together with checkpoints; a method averages over one of the two"
    if method.over == "checkpoints" and options.checkpoints is None:
        kept = ", ".join(map(str, [*config.full_model.checkpoints, 1.0]))
        yield (
            f"checkpoints: this key is missing; {options.method} averages over checkpoints of the"
            f" full model (kept: {kept}; set full_model.checkpoints)"
        )
    shares = options.checkpoints or ()
    yield from (f"checkpoints: {error}" for error in checkpoint_errors(config, shares))
    if method.weights == "learning-rate" and shares and not any(map(config.step, shares)):
        yield (
            "checkpoints: found only the initial weights, which have no learning rate; add a later"
            " checkpoint"
        )
    ensemble = options.ensemble
    count = 0 if config.measurement is None else config.measurement.subsets.retrain.count
    if ensemble is not None and ensemble.of == "retrain" and ensemble.count > count:
        yield (
            f"ensemble.count: found {ensemble.count}, but measurement.subsets.retrain.count is"
            f" {count}; raise it"
        )


def checkpoint_errors(config: Config, shares: Iterable[float]) -> Iterator[str]:
    """Yield which checkpoints, named by shares of the training, are not kept."""
    kept = {config.step(share) for share in (*config.full_model.checkpoints, 1.0)}
    for share in shares:
        if config.step(share) not in kept:
            yield (
                f"found {share}, which is not kept; add it to full_model.checkpoints"
                f" = {list(config.full_model.checkpoints)}"
            )
