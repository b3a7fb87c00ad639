"""Training one model or a stack of models on subsets of the training set.

The models of a stack have the same shape and are trained together, as one network whose parameters
have a leading member axis (`torch.func.vmap`): small networks spend most of a step on overhead,
which the members then share. One model is a stack of one.

Randomness is keyed by (seed, epoch, image), not by the member: models of one seed start from the
same weights, visit the images that they share in the same order, and see them under the same noise.
These common random numbers leave the choice of the subset as the only difference between them.
Since nothing depends on what was drawn before, training can go on from any step.

Recipe: Zheng et al., "Intriguing properties of data attribution on diffusion models" (ICLR 2024):
AdamW, cosine decay after a linear warm-up, gradient norm clipped, loss = mean squared error of the
predicted noise.
"""

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from safetensors import SafetensorError
from torch import Tensor
from torch.func import functional_call, vmap
from tqdm import tqdm

from diffattr import rng
from diffattr.artifacts import ArtifactError, beside
from diffattr.config import ConfigError, Recipe
from diffattr.data.subsets import membership
from diffattr.diffusion.families import MODEL_FAMILIES, Captions
from diffattr.diffusion.models import build, told, trained
from diffattr.diffusion.noising import alphas_cumprod, noised
from diffattr.versions import RESULT_VERSION

Weights = dict[str, Tensor]
_SCALER_STATE = ("scale", "_growth_tracker")


@dataclass(frozen=True)
class TrainingSet:
    """The images that subsets are drawn from; `ids` name them wherever noise is keyed.

    `labels` say which of the `captions` a network is told of each image, where it is told any.
    `mirrored` are the images flipped, where that is not the flipped array (latents).
    """

    images: Float32[np.ndarray, "train channel height width"]
    ids: Int64[np.ndarray, " train"]
    labels: Int64[np.ndarray, " train"] | None = None
    captions: Captions | None = None
    mirrored: Float32[np.ndarray, "train channel height width"] | None = None


def train(
    data: TrainingSet,
    subsets: Sequence[Int64[np.ndarray, " member_image"]],
    seed: int,
    recipe: Recipe,
    *,
    models_per_stack: int,
    scratch: Path,
    keep_steps: Sequence[int] = (),
    device: str = "cpu",
    save_state_every_s: float = 60.0,
) -> dict[int, Weights]:
    """Return the weights of one model per subset, by step: the steps to keep and the last one.

    Each parameter is a tensor (member, ...) in the order of `subsets`.

    Args:
        data: the training set.
        subsets: positions into the training set, of equal number.
        seed: keys initial weights, order, timesteps and noise.
        recipe: model, noise schedule and training.
        models_per_stack: how many models are trained together; 1 trains them one by one.
        scratch: where the state lies from which a killed run goes on. The caller deletes it when
            the result is safe.
        keep_steps: numbers of steps after which the weights are kept too; 0 is before training.
        device: where to train.
        save_state_every_s: seconds between two states; never changes the result.

    Raises:
        ConfigError: the model does not fit the images, or cannot be trained in a stack.
    """
    stacks = [
        subsets[start : start + models_per_stack]
        for start in range(0, len(subsets), models_per_stack)
    ]
    results = [
        _Stack(data, stack, seed, recipe, set(keep_steps), scratch, device).run(save_state_every_s)
        for stack in stacks
    ]
    return {
        step: {name: torch.cat([result[step][name] for result in results]) for name in weights}
        for step, weights in results[0].items()
    }


def _check_fit(network: torch.nn.Module, data: TrainingSet, family: str) -> None:
    """Hold what the network was built as, its family's defaults included, against the images."""
    channels, height = data.images.shape[1:3]
    config: Any = network.config
    wanted = (("in_channels", channels), ("out_channels", channels), ("sample_size", height))
    for key, expected in wanted:
        if config[key] not in (None, expected):
            raise ConfigError(
                f"model.config.{key}: found {config[key]}, the images have {channels} channels and"
                f" are {height} pixels wide"
            )
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    if frozen and not MODEL_FAMILIES[family].captions:
        raise ConfigError(
            f"model.config: the network has parameters that are not trained ({frozen[0]}), which"
            " gradients and stacks do not support; choose another time_embedding_type"
        )


class _Stack:
    """The models that are trained together."""

    def __init__(
        self,
        data: TrainingSet,
        subsets: Sequence[Int64[np.ndarray, " member_image"]],
        seed: int,
        recipe: Recipe,
        keep_steps: set[int],
        scratch: Path,
        device: str,
    ):
        self.data, self.seed, self.recipe = data, seed, recipe
        self.masks = membership(list(subsets), len(data.images))
        self.n_images = len(subsets[0])
        self.n_steps = recipe.training.n_steps(self.n_images)
        if late := [step for step in keep_steps if step > self.n_steps]:
            raise ValueError(f"step {late[0]} is to be kept, training ends at {self.n_steps}")
        self.keep = sorted(keep_steps | {self.n_steps})
        self.place = scratch / _fingerprint(data, self.masks, seed, recipe, self.keep)
        self.place.mkdir(parents=True, exist_ok=True)
        self.device = device
        self.images = torch.from_numpy(data.images)
        self.mirrored = None if data.mirrored is None else torch.from_numpy(data.mirrored)
        self.abar = alphas_cumprod(recipe.noise_schedule)
        network = build(recipe.model, seed, data.captions).train()
        _check_fit(network, data, recipe.model.family)
        if len(subsets) > 1:
            _check_stackable(network)
        self.parameters: Weights = {
            name: tensor.detach().expand(len(subsets), *tensor.shape).clone().to(device)
            for name, tensor in trained(network).items()
        }
        # Of a network that is trained as a whole, the weights in use are those above.
        whole = len(self.parameters) == len(list(network.parameters()))
        self.network = network.to("meta" if whole else device)
        self.dropout = _drops_out(network)

    def run(self, save_state_every_s: float) -> dict[int, Weights]:
        """Train from wherever the scratch directory stands; return the weights by step."""
        from accelerate import Accelerator

        training = self.recipe.training
        # No CPU trains in fp16: there, such a model is trained in fp32.
        fp16_on_cpu = training.mixed_precision == "fp16" and self.device == "cpu"
        accelerator = Accelerator(
            mixed_precision="no" if fp16_on_cpu else training.mixed_precision,
            cpu=self.device == "cpu",
        )
        scaler = accelerator.scaler
        for tensor in self.parameters.values():
            tensor.requires_grad_(True)
        optimizer = torch.optim.AdamW(
            [{"params": list(self.parameters.values()), "initial_lr": training.learning_rate}],
            lr=training.learning_rate,
            betas=training.betas,
            eps=training.epsilon,
            weight_decay=training.weight_decay,
            fused=True,
        )
        keep = self.keep
        done = self._resume(optimizer, scaler)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: training.learning_rate_factor(step, self.n_steps),
            last_epoch=done - 1 if done else -1,
        )
        if done == 0 and 0 in keep:
            self._write(self._kept(0), self.parameters)
        saved = time.monotonic()
        batches = self._batches(done)
        progress = tqdm(
            batches, total=self.n_steps, initial=done, mininterval=10, unit="step", desc="train"
        )
        for step, (x, noise, timesteps, labels) in enumerate(progress, start=done + 1):
            with accelerator.autocast(), self._randomness(step):
                prediction = self._forward(x, timesteps, labels)
            losses = (prediction.float() - noise).square().flatten(1).mean(1)
            accelerator.backward(losses.sum())
            if scaler is not None:
                scaler.unscale_(optimizer)
            self._clip(training.clip_norm)
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
            schedule.step()
            optimizer.zero_grad()
            if step in keep:
                self._write(self._kept(step), self.parameters)
            if step in keep or time.monotonic() - saved >= save_state_every_s:
                self._save_state(step, optimizer, scaler)
                saved = time.monotonic()
        return {step: _read(self._kept(step)) for step in keep}

    def _batches(self, done: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
        """Yield noised images, noise, timesteps and labels (member, image, ...) of each step left.

        Some images are told as the empty caption, label -1, for guidance without a classifier (Ho
        and Salimans, arXiv 2207.12598).
        """
        training, shape = self.recipe.training, self.data.images.shape[1:]
        stream = rng.Stream(self.seed, "training")
        per_epoch = math.ceil(self.n_images / training.batch_size)
        for epoch in range(done // per_epoch, training.epochs):
            order = rng.generator(self.seed, "order", epoch).permutation(len(self.data.images))
            # Every member keeps the common order of the images it has.
            orders = np.stack([order[mask[order]] for mask in self.masks])
            first = done - epoch * per_epoch if epoch == done // per_epoch else 0
            for batch in range(first, per_epoch):
                start = batch * training.batch_size
                chosen = orders[:, start : start + training.batch_size]
                unique, inverse = np.unique(chosen, return_inverse=True)
                generators = [stream.generator(int(i), epoch) for i in self.data.ids[unique]]
                n_timesteps = len(self.abar)
                timesteps = torch.tensor([int(g.integers(n_timesteps)) for g in generators])
                flips = torch.tensor([g.random() < 0.5 for g in generators])
                noise = torch.from_numpy(
                    np.stack([g.standard_normal(shape, dtype=np.float32) for g in generators])
                )
                chosen_images = torch.from_numpy(unique)
                images = self.images[chosen_images]
                if training.horizontal_flip:
                    mirrored = (
                        images.flip(-1) if self.mirrored is None else self.mirrored[chosen_images]
                    )
                    images = torch.where(flips[:, None, None, None], mirrored, images)
                labels = None
                if self.data.labels is not None:
                    drops = [g.random() < training.caption_drop for g in generators]
                    labels = torch.from_numpy(np.where(drops, -1, self.data.labels[unique]))
                x = noised(images, noise, self.abar[timesteps])
                member = torch.from_numpy(inverse.reshape(chosen.shape))
                yield (
                    x[member].to(self.device),
                    noise[member].to(self.device),
                    timesteps[member].to(self.device),
                    None if labels is None else labels[member].to(self.device),
                )

    def _forward(self, x: Tensor, timesteps: Tensor, labels: Tensor | None) -> Tensor:
        def one(parameters: Weights, x: Tensor, timesteps: Tensor, labels: Tensor | None) -> Tensor:
            arguments = {**told(labels), "return_dict": False}
            return functional_call(self.network, parameters, (x, timesteps), arguments)[0]

        if len(x) == 1:
            only = {name: tensor[0] for name, tensor in self.parameters.items()}
            return one(only, x[0], timesteps[0], None if labels is None else labels[0])[None]
        in_dims = (0, 0, 0, None if labels is None else 0)
        return vmap(one, in_dims)(self.parameters, x, timesteps, labels)

    @contextlib.contextmanager
    def _randomness(self, step: int) -> Iterator[None]:
        if not self.dropout:
            yield
            return
        with rng.torch_seeded(self.seed, "dropout", step):
            yield

    @torch.no_grad()
    def _clip(self, clip_norm: float) -> None:
        """Scale each member's gradient to a norm of at most `clip_norm`."""
        gradients = [tensor.grad for tensor in self.parameters.values() if tensor.grad is not None]
        squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)
        scale = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))

    def _kept(self, step: int) -> Path:
        return self.place / f"step-{step}.safetensors"

    def _save_state(self, step: int, optimizer: torch.optim.Optimizer, scaler: Any) -> None:
        tensors = {"step": torch.tensor(step)}
        if scaler is not None:
            state = scaler.state_dict()
            tensors |= {f"scaler/{name}": torch.tensor(state[name]) for name in _SCALER_STATE}
        for name, parameter in self.parameters.items():
            tensors[f"parameter/{name}"] = parameter
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment]
        self._write(self.place / "state.safetensors", tensors)

    def _resume(self, optimizer: torch.optim.Optimizer, scaler: Any) -> int:
        """Load the last state, if there is one; return how many steps it has behind it."""
        path = self.place / "state.safetensors"
        if not path.exists():
            return 0
        try:
            tensors = _read(path)
            step = int(tensors["step"])
        except (SafetensorError, KeyError, OSError) as error:
            raise ArtifactError(
                f"{path}: the state to resume from is damaged ({error}); delete {self.place}, and"
                " training starts from the beginning"
            ) from error
        for name, parameter in self.parameters.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter/{name}"])
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"exp_avg/{name}"].to(self.device),
                "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(self.device),
            }
        if scaler is not None:
            state = {name: tensors[f"scaler/{name}"].item() for name in _SCALER_STATE}
            scaler.load_state_dict({**scaler.state_dict(), **state})
        return step

    @staticmethod
    def _write(path: Path, tensors: Weights) -> None:
        from safetensors.torch import save_file

        with beside(path) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, temporary)


def _read(path: Path) -> Weights:
    from safetensors.torch import load_file

    return load_file(path)


def _check_stackable(network: torch.nn.Module) -> None:
    if _drops_out(network):
        raise ConfigError(
            "jobs.models_per_stack: a model with dropout cannot be trained in a stack, since its"
            " dropped units would depend on its neighbours; set models_per_stack to 1"
        )
    if any(type(module).__name__ == "Attention" for module in network.modules()):
        raise ConfigError(
            "jobs.models_per_stack: a model with attention cannot be trained in a stack, since"
            " torch.func.vmap has no rule for it; set models_per_stack to 1"
        )


def _drops_out(network: torch.nn.Module) -> bool:
    return any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in network.modules())


def _fingerprint(
    data: TrainingSet,
    masks: Bool[np.ndarray, "subset train"],
    seed: int,
    recipe: Recipe,
    keep: list[int],
) -> str:
    """Return a name under which only a run with the same result can find its state."""
    text = json.dumps([RESULT_VERSION["training"], seed, keep, msgspec.to_builtins(recipe)])
    digest = hashlib.sha256(text.encode())
    further = (data.labels, data.captions, data.mirrored)
    given = [array for array in further if array is not None]
    for array in (data.images, data.ids, masks, *given):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
