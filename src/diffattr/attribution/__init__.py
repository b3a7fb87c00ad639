"""Attribution methods: one small file per family and one line per method."""

from collections.abc import Mapping
from typing import Any

from diffattr.attribution.das import Das
from diffattr.attribution.ekfac import EkFacInfluence, SweptEkFacInfluence
from diffattr.attribution.file_scores import FileScores
from diffattr.attribution.method import Method, with_options
from diffattr.attribution.nda import Nda
from diffattr.attribution.plugin import plugged_in
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
    """Return a built-in method or a plug-in by its name.

    Raises:
        PluginError: the plug-in cannot be loaded, or is not a method.
    """
    return METHODS[name] if name in METHODS else plugged_in(name)


def configured(params: Mapping[str, Any]) -> Method:
    """Return the method that a job's params name, with its options.

    Raises:
        ConfigError: an option does not exist, or its value is not allowed.
        PluginError: the plug-in cannot be loaded, or is not a method.
    """
    return with_options(method_of(params["method"]), params["options"])
