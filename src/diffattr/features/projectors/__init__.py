"""Projectors: random maps from a gradient of length p to k numbers that keep inner products.

A projector is one small file with a class that has the attributes below, and one line in the
registry. Classes are named by their path, so that the registry can be read without loading torch.
"""

import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from diffattr.config import ConfigError, ProjectorOptions

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Projector(Protocol):
    """What a gradient pass needs of a projector.

    Registered classes are called with (config, number of parameters, device).
    """

    rows: int
    """The number of gradients to project at once; 1 if that gains nothing."""

    def __call__(self, gradients: "Tensor") -> "Tensor":
        """Return (image, k), float32, of gradients (image, param)."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return what defines the map; features of different identities are never compared."""
        ...


PROJECTORS: dict[str, str] = {
    "none": "diffattr.features.projectors.none:Identity",
    "sjlt": "diffattr.features.projectors.sjlt:Sjlt",
    "normal": "diffattr.features.projectors.dense:Dense",
    "rademacher": "diffattr.features.projectors.dense:Dense",
    "fast-jl": "diffattr.features.projectors.fast_jl:FastJl",
}


def check(config: ProjectorOptions) -> None:
    """Raise a `ConfigError` for options that no number of parameters allows, without torch."""
    if config.kind == "none":
        if config.k is not None:
            raise ConfigError(f"k: found {config.k}, but projector none keeps every parameter")
        return
    if config.k is None:
        raise ConfigError(f"k: this key is missing; projector {config.kind} needs it")
    if config.kind == "sjlt":
        if config.k % config.nonzeros:
            raise ConfigError(
                f"nonzeros: found {config.nonzeros}, allowed: a divisor of k = {config.k}, since"
                " each nonzero falls into another k/nonzeros outputs"
            )
    elif config.nonzeros != 1:
        raise ConfigError(
            f"nonzeros: found {config.nonzeros}, only projector sjlt has it; remove the key"
        )
    if config.kind == "fast-jl" and config.k % 512:
        raise ConfigError(f"k: found {config.k}, allowed: multiples of 512 for projector fast-jl")


def make(config: ProjectorOptions, n_parameters: int, device: str = "cpu") -> Projector:
    """Return the projector of a config for gradients of length `n_parameters`.

    Raises:
        ConfigError: the projector cannot have this k, or its backend is not installed.
    """
    check(config)
    if config.k is not None and config.k > n_parameters:
        raise ConfigError(
            f"k: found {config.k}, allowed: at most {n_parameters}, the number of parameters;"
            " to keep all of them use projector none"
        )
    return pkgutil.resolve_name(PROJECTORS[config.kind])(config, n_parameters, device)
