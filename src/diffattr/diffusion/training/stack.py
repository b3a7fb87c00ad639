"""Models trained together as one network whose parameters have a member axis.

Small networks spend most of a step on overhead, which the members share (`torch.func.vmap`). One
model is a stack of one.
"""

import contextlib
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.func import vmap

from diffattr import rng
from diffattr.config import ConfigError, Recipe
from diffattr.diffusion.families import MODEL_FAMILIES, Captions
from diffattr.diffusion.models import build, predict, trained_parameters

Weights = dict[str, Tensor]


class Stack:
    """Models of the same shape and the same initial weights."""

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        n_members: int,
        image_shape: tuple[int, ...],
        captions: Captions | None,
        device: str,
    ):
        network = build(recipe.model, seed, captions).train()
        _check_fit(network, image_shape, recipe.model.family)
        self.seed = seed
        self.has_dropout = any(
            isinstance(m, torch.nn.Dropout) and m.p > 0 for m in network.modules()
        )
        if n_members > 1:
            _check_stackable(network, self.has_dropout)
        self.parameters: Weights = {
            name: tensor.detach().expand(n_members, *tensor.shape).clone().to(device)
            for name, tensor in trained_parameters(network).items()
        }
        for tensor in self.parameters.values():
            tensor.requires_grad_(True)
        # The network's parameters are not used if the stacked ones replace all of them.
        all_trained = len(self.parameters) == len(list(network.parameters()))
        self.network = network.to("meta" if all_trained else device)

    def predict(
        self,
        x: Float[Tensor, "member image channel height width"],
        timesteps: Int64[Tensor, "member image"],
        labels: Int64[Tensor, "member image"] | None,
    ) -> Float[Tensor, "member image channel height width"]:
        """Return each member's prediction for its images."""

        def one(parameters: Weights, x: Tensor, timesteps: Tensor, labels: Tensor | None) -> Tensor:
            return predict(self.network, x, timesteps, labels, parameters)

        if len(x) == 1:
            only = {name: tensor[0] for name, tensor in self.parameters.items()}
            return one(only, x[0], timesteps[0], None if labels is None else labels[0])[None]
        in_dims = (0, 0, 0, None if labels is None else 0)
        return vmap(one, in_dims)(self.parameters, x, timesteps, labels)

    def randomness(self, step: int) -> contextlib.AbstractContextManager[None]:
        """Return a context that keys dropout by the step."""
        if self.has_dropout:
            return rng.torch_seeded(self.seed, "dropout", step)
        return contextlib.nullcontext()

    @torch.no_grad()
    def clip(self, clip_norm: float) -> None:
        """Scale each member's gradient to a norm of at most `clip_norm`."""
        gradients = [tensor.grad for tensor in self.parameters.values() if tensor.grad is not None]
        squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)
        scale = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))


def _check_fit(network: torch.nn.Module, image_shape: tuple[int, ...], family: str) -> None:
    """Check the network, including its family's defaults, against the images."""
    channels, height = image_shape[:2]
    config: Any = network.config
    sizes = (("in_channels", channels), ("out_channels", channels), ("sample_size", height))
    for key, expected in sizes:
        if config[key] not in (None, expected):
            raise ConfigError(
                f"model.config.{key}: found {config[key]}, expected {expected}: the images have"
                f" {channels} channels and {height} pixels per side"
            )
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    if frozen and not MODEL_FAMILIES[family].text_conditioned:
        raise ConfigError(
            f"model.config: the network has parameters that are not trained ({frozen[0]}), which"
            " gradients and stacks do not support; choose another time_embedding_type"
        )


def _check_stackable(network: torch.nn.Module, has_dropout: bool) -> None:
    if has_dropout:
        raise ConfigError(
            "jobs.models_per_stack: a model with dropout cannot be trained in a stack, since its"
            " dropped units would depend on the other members; set models_per_stack to 1"
        )
    if any(type(module).__name__ == "Attention" for module in network.modules()):
        raise ConfigError(
            "jobs.models_per_stack: a model with attention cannot be trained in a stack, since"
            " torch.func.vmap has no rule for it; set models_per_stack to 1"
        )
