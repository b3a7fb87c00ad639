"""Dense projections with independent entries, made block by block of coordinates.

    P g = 1/sqrt(k) * g R,    R (param, k) with entries N(0, 1) or +-1

Source: Johnson and Lindenstrauss (1984); Achlioptas, "Database-friendly random projections"
(JCSS 2003) for +-1. Cost: p k multiplications per gradient and p k random numbers per call, so
gradients are gathered first; for references and small networks, use sjlt elsewhere.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from diffattr import rng
from diffattr.config import ProjectorOptions

# Part of the definition of R: its blocks are keyed by their number.
_COORDINATES_PER_BLOCK = 1024


def _normal(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return generator.standard_normal(shape, dtype=np.float32)


def _rademacher(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    n_bits = shape[0] * shape[1]
    bits = np.unpackbits(np.frombuffer(generator.bytes((n_bits + 7) // 8), np.uint8), count=n_bits)
    return (2 * bits.reshape(shape).astype(np.float32)) - 1


_ENTRIES = {"normal": _normal, "rademacher": _rademacher}


class Dense:
    """Entries N(0, 1) (`normal`), or +1 and -1 with probability 1/2 (`rademacher`)."""

    rows = 32

    def __init__(self, config: ProjectorOptions, n_parameters: int, device: str):
        assert config.k is not None
        self._config, self._k = config, config.k
        self._n_parameters, self._device = n_parameters, device
        self._entries = _ENTRIES[config.kind]
        self._stream = rng.Stream(config.seed, "projection", config.kind)

    def __call__(self, gradients: Float32[Tensor, "image param"]) -> Float32[Tensor, "image k"]:
        """Return the projection of each gradient."""
        projected = gradients.new_zeros(len(gradients), self._k)
        for start in range(0, self._n_parameters, _COORDINATES_PER_BLOCK):
            generator = self._stream.generator(start // _COORDINATES_PER_BLOCK)
            entries = self._entries(generator, (_COORDINATES_PER_BLOCK, self._k))
            block = gradients[:, start : start + _COORDINATES_PER_BLOCK]
            matrix = torch.from_numpy(entries[: block.shape[1]]).to(self._device)
            projected.addmm_(block, matrix)
        return projected * self._k**-0.5

    def identity(self) -> dict[str, Any]:
        """Return what defines the map."""
        return {"kind": self._config.kind, "k": self._k, "seed": self._config.seed}
