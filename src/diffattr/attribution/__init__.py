"""Attribution methods: one small file per family and one line per method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffattr import plugins
from diffattr.attribution.base import QueryRows, Reads, Similarity, TrainRows
from diffattr.attribution.das import Das
from diffattr.attribution.ekfac import EkFacInfluence, SweptEkFacInfluence
from diffattr.attribution.file_scores import FileScores
from diffattr.attribution.method import Method, with_options
from diffattr.attribution.nda import Nda
from diffattr.attribution.random_scores import RandomScores
from diffattr.attribution.retraining import Datamodel, EmpiricalInfluence
from diffattr.attribution.scaled_influence import RelativeInfluence, RenormalisedInfluence
from diffattr.attribution.similarity import Cosine, Dot
from diffattr.attribution.trak import Trak

METHODS: dict[str, Method] = {
    "random": RandomScores(),
    "pixel-dot": Dot(reads="pixels"),
    "pixel-cosine": Cosine(reads="pixels"),
    "embedding-dot": Dot(reads="embedding"),
    "embedding-cosine": Cosine(reads="embedding"),
    "nda": Nda(),
    "gradient-dot": Dot(reads="features"),
    "gradient-cosine": Cosine(reads="features"),
    "tracin": Dot(reads="features", over="checkpoints"),
    "tracin-learning-rate": Dot(reads="features", over="checkpoints", weights="learning-rate"),
    "gas": Cosine(reads="features", over="checkpoints"),
    "retrac": Dot(
        reads="features", over="checkpoints", weights="learning-rate", unit_gradients=True
    ),
    "relative-influence": RelativeInfluence(),
    "renormalised-influence": RenormalisedInfluence(),
    "kernel": Trak(),
    "trak": Trak(output_function="loss"),
    "d-trak": Trak(output_function="mean-squared-l2-norm"),
    "journey-trak": Trak(output_function="loss", follows_trajectory=True),
    "das": Das(),
    "ekfac": EkFacInfluence(),
    "ekfac-swept": SweptEkFacInfluence(),
    "empirical-influence": EmpiricalInfluence(),
    "datamodel": Datamodel(),
    "file": FileScores(),
}


def method_of(name: str) -> Method:
    """Return a built-in method or a plug-in (an object of a contract, or a function) by its name.

    Raises:
        PluginError: the plug-in cannot be loaded, or is not a method.
    """
    if name in METHODS:
        return METHODS[name]
    found = plugins.load("methods", name)
    if isinstance(found, Method):
        return plugins.call(name, _checked, name, found)
    hint = ", not its class" if isinstance(found, type) else ""
    contracts = "Similarity, KernelMethod, PatchMethod, RetrainingMethod"
    wanted = f"(train, queries), or an object of {contracts}{hint}"
    return FunctionOfFeatures(function=plugins.load_function("methods", name, wanted), plugin=name)


def configured(params: Mapping[str, Any]) -> Method:
    """Return the method that a job's params name, with its options.

    Raises:
        ConfigError: an option does not exist, or its value is not allowed.
        PluginError: the plug-in cannot be loaded, or is not a method.
    """
    return with_options(method_of(params["method"]), params["options"])


@dataclass(frozen=True, kw_only=True)
class FunctionOfFeatures(Similarity):
    """A plug-in that is a plain function of training features and query features."""

    reads: Reads = "features"
    function: Callable[[np.ndarray, np.ndarray], Any]

    def scores(self, train: TrainRows, queries: QueryRows) -> Any:
        """Return what the function returns; `answer` checks it."""
        return self.function(train, queries)


def _checked(name: str, found: Method) -> Method:
    if found.reads not in found.readable:
        raise plugins.PluginError(
            f"plug-in {name}: its reads is {found.reads!r}, allowed: {', '.join(found.readable)}"
        )
    method = replace(found, plugin=name)
    # These run the plug-in's code before any job does.
    _ = method.has_lambda, getattr(method, "least_models", None)
    return method
