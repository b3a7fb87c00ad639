"""Methods from outside diffattr, and plain functions as methods."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from diffattr import plugins
from diffattr.attribution.base import (
    KernelMethod,
    Method,
    PatchMethod,
    Reads,
    RetrainingMethod,
    Similarity,
)

_READS: dict[type[Method], tuple[Reads, ...]] = {
    Similarity: ("features", "pixels", "embedding"),
    KernelMethod: ("features",),
    PatchMethod: ("pixels",),
    RetrainingMethod: ("losses",),
}
"""What the methods of each contract may read."""


@dataclass(frozen=True, kw_only=True)
class FunctionOfFeatures(Similarity):
    """A plain function of training features and query features."""

    reads: Reads = "features"
    function: Callable[[np.ndarray, np.ndarray], Any]

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Any:
        """Return what the function does, which is checked where methods are asked."""
        return self.function(train, queries)


def plugged_in(name: str) -> Method:
    """Return the method that a plug-in gives: an object with one of the contracts, or a function.

    Raises:
        PluginError: it cannot be loaded, or is neither.
    """
    found = plugins.load("methods", name)
    if isinstance(found, tuple(_READS)):
        return plugins.call(name, _method, name, found)
    contracts = ", ".join(kind.__name__ for kind in _READS)
    hint = ", not its class" if isinstance(found, type) else ""
    wanted = f"(train, queries), or an object of {contracts}{hint}"
    return FunctionOfFeatures(function=plugins.load_function("methods", name, wanted), plugin=name)


def _method(name: str, found: Method) -> Method:
    allowed = next(reads for kind, reads in _READS.items() if isinstance(found, kind))
    if found.reads not in allowed:
        raise plugins.PluginError(
            f"plug-in {name}: its reads is {found.reads!r}, allowed: {', '.join(allowed)}"
        )
    method = replace(found, plugin=name)
    # What is asked of a method before any job runs.
    _ = method.has_lambda, getattr(method, "least_models", None)
    return method
