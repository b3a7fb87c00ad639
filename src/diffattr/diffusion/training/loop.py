"""The training loop.

Recipe: Zheng et al., "Intriguing properties of data attribution on diffusion models" (ICLR 2024):
AdamW, cosine decay after a linear warm-up, gradient norm clipped, loss = mean squared error of the
predicted noise.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from tqdm import tqdm

from diffattr.config import Recipe
from diffattr.data.subsets import membership
from diffattr.diffusion.training.batches import TrainingSet, batches
from diffattr.diffusion.training.stack import Stack, Weights
from diffattr.diffusion.training.state import TrainingState, fingerprint

_HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}


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
    """Return the weights of one model per subset, after each step to keep and the last step.

    Each parameter is a tensor (member, ...) in the order of `subsets`, which are positions in the
    training set and of one size. `seed` keys initial weights, order, timesteps and noise. Step 0 of
    `keep_steps` is before training. A killed run resumes from the state in the folder `scratch`,
    which the caller deletes once the result is written; how often it is saved never changes the
    result.

    Raises:
        ConfigError: the model does not fit the images, or cannot be trained in a stack.
        ValueError: a step to keep is after the last step.
    """
    stacks = (subsets[i : i + models_per_stack] for i in range(0, len(subsets), models_per_stack))
    results = [
        _train_stack(data, stack, seed, recipe, keep_steps, scratch, device, save_state_every_s)
        for stack in stacks
    ]
    return {
        step: {name: torch.cat([result[step][name] for result in results]) for name in weights}
        for step, weights in results[0].items()
    }


def _train_stack(
    data: TrainingSet,
    subsets: Sequence[Int64[np.ndarray, " member_image"]],
    seed: int,
    recipe: Recipe,
    keep_steps: Sequence[int],
    scratch: Path,
    device: str,
    save_state_every_s: float,
) -> dict[int, Weights]:
    """Train one stack from its saved state, if there is one; return the weights by step."""
    training, masks = recipe.training, membership(list(subsets), len(data.images))
    n_steps = training.n_steps(len(subsets[0]))
    if late := [step for step in keep_steps if step > n_steps]:
        raise ValueError(f"keep_steps: found {late[0]}, but training ends at step {n_steps}")
    keep = sorted({*keep_steps, n_steps})
    saved = TrainingState(scratch / fingerprint(data, masks, seed, recipe, keep))
    stack = Stack(recipe, seed, len(subsets), data.images.shape[1:], data.captions, device)
    optimizer = torch.optim.AdamW(
        [{"params": list(stack.parameters.values()), "initial_lr": training.learning_rate}],
        lr=training.learning_rate,
        betas=training.betas,
        eps=training.epsilon,
        weight_decay=training.weight_decay,
        fused=True,
    )
    kind, half = torch.device(device).type, _HALF.get(training.mixed_precision)
    if half == torch.float16 and kind == "cpu":  # CPUs do not train in fp16; use fp32
        half = None
    scaler = torch.amp.GradScaler(kind, enabled=half == torch.float16)
    done = saved.resume(stack.parameters, optimizer, scaler)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: training.learning_rate_factor(step, n_steps),
        last_epoch=done - 1,
    )
    if done == 0 and 0 in keep:
        saved.keep(0, stack.parameters)
    saved_at = time.monotonic()
    remaining = batches(data, masks, seed, recipe, done)
    progress = tqdm(
        remaining, total=n_steps, initial=done, mininterval=10, unit="step", desc="train"
    )
    for step, batch in enumerate(progress, start=done + 1):
        x, noise, timesteps, labels = batch.to(device)
        with torch.autocast(kind, half, enabled=half is not None), stack.randomness(step):
            prediction = stack.predict(x, timesteps, labels)
        losses = (prediction.float() - noise).square().flatten(1).mean(1)
        scaler.scale(losses.sum()).backward()
        scaler.unscale_(optimizer)
        stack.clip(training.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        if step in keep:
            saved.keep(step, stack.parameters)
        if step in keep or time.monotonic() - saved_at >= save_state_every_s:
            saved.save(step, stack.parameters, optimizer, scaler)
            saved_at = time.monotonic()
    return {step: saved.kept(step) for step in keep}
