"""Sparse Johnson-Lindenstrauss transform: each coordinate is added, signed, to s of k outputs.

    (P g)_j = 1/sqrt(s) * sum over coordinates i hashed to output j of sign_i g_i

Source: Kane and Nelson, "Sparser Johnson-Lindenstrauss transforms" (JACM 2014), block construction:
the k outputs are cut into s blocks and each coordinate falls into one output of every block.
Output and sign come from a counter-based hash of the coordinate, the same on every device.
Cost: s additions per coordinate for any k; memory: 9 s bytes per coordinate.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from diffattr import rng
from diffattr.config import ProjectorOptions


class Sjlt:
    """A count-sketch (s = 1), or with more nonzeros per coordinate (s > 1)."""

    rows = 1

    def __init__(self, config: ProjectorOptions, n_parameters: int, device: str):
        assert config.k is not None
        self._config, self._k = config, config.k
        block = self._k // config.nonzeros
        scale = np.float32(config.nonzeros**-0.5)
        self._maps = []
        for nonzero in range(config.nonzeros):
            bits = rng.hashed_range(n_parameters, config.seed, "sjlt", nonzero)
            # The lowest bit is the sign; the upper 32 bits, scaled to the block, are the output.
            output = nonzero * block + (
                ((bits >> np.uint64(32)) * np.uint64(block)) >> np.uint64(32)
            )
            pair = output.astype(np.int64), np.where(bits & np.uint64(1), scale, -scale)
            self._maps.append([torch.from_numpy(part).to(device) for part in pair])

    def __call__(self, gradients: Float32[Tensor, "image param"]) -> Float32[Tensor, "image k"]:
        """Return the sketch of each gradient."""
        sketch = gradients.new_zeros(len(gradients), self._k)
        for output, sign in self._maps:
            sketch.index_add_(1, output, gradients * sign)
        return sketch

    def identity(self) -> dict[str, Any]:
        """Return what defines the map; it does not depend on a backend or device."""
        return {
            "kind": "sjlt",
            "k": self._k,
            "nonzeros": self._config.nonzeros,
            "seed": self._config.seed,
        }
