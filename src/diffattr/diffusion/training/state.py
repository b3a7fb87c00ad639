"""Saving the state of a stack's training, and resuming from it."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from jaxtyping import Bool
from safetensors import SafetensorError
from safetensors.torch import load_file

from diffattr.artifacts import ArtifactError, write_tensors
from diffattr.config import Recipe
from diffattr.diffusion.training.batches import TrainingSet
from diffattr.diffusion.training.stack import Weights
from diffattr.versions import RESULT_VERSION

_MOMENTS = ("exp_avg", "exp_avg_sq")
_SCALER = ("scale", "_growth_tracker")


def fingerprint(
    data: TrainingSet,
    masks: Bool[np.ndarray, "member train"],
    seed: int,
    recipe: Recipe,
    keep: Sequence[int],
) -> str:
    """Return a folder name that only runs with the same result share."""
    text = json.dumps([RESULT_VERSION["training"], seed, keep, msgspec.to_builtins(recipe)])
    digest = hashlib.sha256(text.encode())
    for array in (data.images, data.ids, masks, data.labels, data.captions, data.mirrored):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class TrainingState:
    """The files of a run in a folder: the weights of kept steps, and the state to resume from."""

    folder: Path

    def keep(self, step: int, weights: Weights) -> None:
        """Write the weights after a step."""
        write_tensors(self._kept(step), weights)

    def kept(self, step: int) -> Weights:
        """Return the weights after a step.

        Raises:
            ArtifactError: their file is missing or damaged.
        """
        with self._readable(self._kept(step)):
            return load_file(self._kept(step))

    def save(
        self,
        step: int,
        weights: Weights,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        """Write the state after a step, replacing the previous one."""
        tensors = {"step": torch.tensor(step)}
        if scaler.is_enabled():
            state = scaler.state_dict()
            tensors |= {f"scaler/{name}": torch.tensor(state[name]) for name in _SCALER}
        for name, parameter in weights.items():
            tensors[f"parameter/{name}"] = parameter
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment]
        write_tensors(self._state, tensors)

    def resume(
        self, weights: Weights, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> int:
        """Load the last state, if there is one; return the number of completed steps.

        Raises:
            ArtifactError: the state is damaged.
        """
        if not self._state.exists():
            return 0
        with self._readable(self._state):
            tensors = load_file(self._state)
            step = int(tensors["step"])
            for name, parameter in weights.items():
                with torch.no_grad():
                    parameter.copy_(tensors[f"parameter/{name}"])
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    **{m: tensors[f"{m}/{name}"].to(parameter.device) for m in _MOMENTS},
                }
            if scaler.is_enabled():
                state = {name: tensors[f"scaler/{name}"].item() for name in _SCALER}
                scaler.load_state_dict({**scaler.state_dict(), **state})
        return step

    @property
    def _state(self) -> Path:
        return self.folder / "state.safetensors"

    def _kept(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"

    @contextlib.contextmanager
    def _readable(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (SafetensorError, KeyError, OSError) as error:
            raise ArtifactError(
                f"{path}: the state to resume from is damaged ({error}); delete {self.folder} to"
                " train from the beginning"
            ) from error
