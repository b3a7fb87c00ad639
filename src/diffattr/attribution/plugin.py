"""Plug-ins as methods: objects of a contract, and plain functions of features."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr import plugins
from diffattr.attribution.base import (
    KernelMethod,
    PatchMethod,
    Reads,
    RetrainingMethod,
    Similarity,
)
from diffattr.attribution.method import Method


@dataclass(frozen=True, kw_only=True)
class FunctionOfFeatures(Similarity):
    """A plain function of training features and query features."""

    reads: Reads = "features"
    function: Callable[[np.ndarray, np.ndarray], Any]

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Any:
        """Return what the function returns, which is checked where methods are asked."""
        return self.function(train, queries)


def plugged_in(name: str) -> Method:
    """Return the method that a plug-in gives: an object of a contract, or a function.

    Raises:
        PluginError: it cannot be loaded, or is neither.
    """
    found = plugins.load("methods", name)
    if isinstance(found, Method):
        return plugins.call(name, _checked, name, found)
    contracts = (Similarity, KernelMethod, PatchMethod, RetrainingMethod)
    hint = ", not its class" if isinstance(found, type) else ""
    names = ", ".join(contract.__name__ for contract in contracts)
    wanted = f"(train, queries), or an object of {names}{hint}"
    return FunctionOfFeatures(function=plugins.load_function("methods", name, wanted), plugin=name)


def _checked(name: str, found: Method) -> Method:
    if found.reads not in found.readable:
        raise plugins.PluginError(
            f"plug-in {name}: its reads is {found.reads!r}, allowed: {', '.join(found.readable)}"
        )
    method = replace(found, plugin=name)
    # What is asked of a method before any job runs.
    _ = method.has_lambda, method.least_models
    return method
