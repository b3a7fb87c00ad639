"""No projection: k = p, for networks that are small enough to store full gradients."""

from typing import Any

from jaxtyping import Float32
from torch import Tensor

from diffattr.config import ProjectorOptions


class Identity:
    """Keeps every parameter."""

    rows = 1

    def __init__(self, config: ProjectorOptions, n_parameters: int, device: str):  # noqa: ARG002
        self._n_parameters = n_parameters

    def __call__(self, gradients: Float32[Tensor, "image param"]) -> Float32[Tensor, "image k"]:
        """Return the gradients themselves."""
        return gradients

    def identity(self) -> dict[str, Any]:
        """Return the kind and the length."""
        return {"kind": "none", "k": self._n_parameters}
