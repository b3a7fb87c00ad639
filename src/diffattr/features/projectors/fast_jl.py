"""Dense +-1 projection by fast_jl's CUDA kernel (MadryLab/trak), for graphics cards only.

The kernel generates its random numbers per tile of coordinates, and the number of tiles is the
card's number of multiprocessors: different cards give different maps, as the identity records.
"""

from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from diffattr.config import ConfigError, ProjectorOptions


class FastJl:
    """Rademacher entries, fp16 inside the kernel, scaled by 1/sqrt(k).

    Raises:
        ConfigError: there is no CUDA device, or the package fast_jl is not installed.
    """

    rows = 32

    def __init__(self, config: ProjectorOptions, n_parameters: int, device: str):  # noqa: ARG002
        if not device.startswith("cuda") or not torch.cuda.is_available():
            raise ConfigError(
                "kind: projector fast-jl runs on CUDA only, and this job has no CUDA device; use"
                " sjlt (the same on every device), or set jobs.gpus to 1 on a machine with a card"
            )
        try:
            import fast_jl  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ConfigError(
                "kind: projector fast-jl needs the package fast_jl: pip install -e '.[cuda]'"
                " (it is compiled at installation and needs nvcc); or use sjlt"
            ) from error
        assert config.k is not None
        self._project = fast_jl.project_rademacher_32
        self._config, self._k = config, config.k
        properties = torch.cuda.get_device_properties(device)
        self._n_multiprocessors = properties.multi_processor_count

    def __call__(self, gradients: Float32[Tensor, "image param"]) -> Float32[Tensor, "image k"]:
        """Return the projection of each gradient."""
        n = len(gradients)
        # The kernel needs exactly 32 rows. Gradients near 1e-8 vanish in fp16, so each is scaled to
        # a suitable norm and scaled back.
        norms = gradients.norm(dim=1, keepdim=True).clamp(min=1e-30)
        padded = gradients.new_zeros(self.rows, gradients.shape[1])
        padded[:n] = gradients / norms * gradients.shape[1] ** 0.5
        projected = self._project(padded, self._k, self._config.seed, self._n_multiprocessors)[:n]
        return projected * norms * (gradients.shape[1] * self._k) ** -0.5

    def identity(self) -> dict[str, Any]:
        """Return what defines the map, the card's number of multiprocessors included."""
        return {
            "kind": "fast-jl",
            "k": self._k,
            "seed": self._config.seed,
            "multiprocessors": self._n_multiprocessors,
        }
