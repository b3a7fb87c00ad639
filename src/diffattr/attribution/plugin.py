"""Plug-ins as methods: objects of a contract, and plain functions of features."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr import plugins
from diffattr.attribution.base import Similarity
from diffattr.attribution.method import Method, Reads


@dataclass(frozen=True, kw_only=True)
class FunctionOfFeatures(Similarity):
    """A plain function of training features and query features."""

    reads: Reads = "features"
    function: Callable[[np.ndarray, np.ndarray], Any]

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Any:
        """Return what the function returns; `answer` checks it."""
        return self.function(train, queries)


def plugged_in(name: str) -> Method:
    """Return the method of a plug-in: an object of a contract, or a function of features.

    Raises:
        PluginError: it cannot be loaded, or is neither.
    """
    found = plugins.load("methods", name)
    if isinstance(found, Method):
        return plugins.call(name, _checked, name, found)
    hint = ", not its class" if isinstance(found, type) else ""
    contracts = "Similarity, KernelMethod, PatchMethod, RetrainingMethod"
    wanted = f"(train, queries), or an object of {contracts}{hint}"
    return FunctionOfFeatures(function=plugins.load_function("methods", name, wanted), plugin=name)


def _checked(name: str, found: Method) -> Method:
    if found.reads not in found.readable:
        raise plugins.PluginError(
            f"plug-in {name}: its reads is {found.reads!r}, allowed: {', '.join(found.readable)}"
        )
    method = replace(found, plugin=name)
    # These run the plug-in's code before any job does.
    _ = method.has_lambda, getattr(method, "least_models", None)
    return method
