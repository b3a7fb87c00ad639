"""Attribution for a model that somebody already has: from a pipeline and images to scores.

    from diffusers import DDPMPipeline
    from diffattr.own_model import attribute_images

    pipeline = DDPMPipeline.from_pretrained("my-model")
    scores = attribute_images(pipeline, train_images, query_images, method="d-trak", lam="rule")

Nothing is trained, so there is no LDS to choose lambda by: it is named, or taken from a stated
rule. The gradients and scores are made by the functions that a benchmark's jobs call.
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from diffattr.attribution import method_of
from diffattr.attribution.base import attribute
from diffattr.config import ConfigError, NoiseSchedule, Pass, Projector
from diffattr.features.gradients import GradientPass

RULE: dict[str, float] = {"loss": 0.2, "mean-squared-l2-norm": 0.002, "mean": 0.0005}
"""Lambda by output function, in units of the mean |phi|^2: what lost least LDS at worst on the
standard benchmarks (`benchmarks/lambda_rule.py`: .04 at worst, .01 on average). They are of 8 and
16 pixels and one network; there is no evidence for others."""

_BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


def attribute_images(
    pipeline: Any,
    train: Tensor | np.ndarray,
    queries: Tensor | np.ndarray,
    *,
    method: str,
    lam: float | Literal["rule"] | None = None,
    n_timesteps: int = 10,
    k: int | None = 4096,
    noise: Literal["common", "per-image"] = "common",
    seed: int = 0,
    batch_size: int = 64,
) -> Float32[np.ndarray, "query train"]:
    """Return how much each training image lowers each query's loss, by one gradient method.

    Args:
        pipeline: an unconditional diffusers pipeline with a `UNet2DModel`, such as `DDPMPipeline`,
            on the device where to compute.
        train: training images in [-1, 1], (train, channel, height, width).
        queries: images to ask about, as `train`.
        method: the name of a method that reads gradients of one model, such as `d-trak`.
        lam: in units of the mean |phi|^2 of training images; "rule" is that of `RULE`. For methods
            without lambda it stays None.
        n_timesteps: how many timesteps a gradient averages over.
        k: dimension of the projection; None keeps every parameter.
        noise: `common` compares all images under the same noise.
        seed: keys noise and projection.
        batch_size: timesteps that share a forward pass; changes rounding only.

    Raises:
        ConfigError: the pipeline, the images, the method or lambda are not what is expected.
    """
    chosen = method_of(method)
    if chosen.reads != "features" or chosen.over == "checkpoints" or chosen.curvature:
        raise ConfigError(f"method: {method} does not work from gradients of one model alone")
    if chosen.follows_trajectory:
        raise ConfigError(f"method: {method} follows the sampler, which images alone do not tell")
    output_function = chosen.output_function or "loss"
    options = Pass(
        n_timesteps=n_timesteps,
        noise=noise,
        output_functions=(output_function,),
        projector=Projector(kind="none") if k is None else Projector(kind="sjlt", k=k, seed=seed),
        unit_gradients=chosen.unit_gradients,
    )
    unet = _unet(pipeline)
    ridge = _lambda(method, lam, output_function) if chosen.has_lambda else None
    images = {
        "train": _checked("train", train, unet),
        "queries": _checked("queries", queries, unet),
    }
    gradients = GradientPass(
        unet, _schedule(pipeline.scheduler), options, seed, device=str(pipeline.device)
    )
    features = {
        side: gradients.features(of, np.arange(len(of)), side, batch_size=batch_size)
        for side, of in images.items()
    }
    phi, psi = (features[side][output_function] for side in ("train", "queries"))
    return attribute(chosen, phi, psi).scores(ridge).astype(np.float32)


def _unet(pipeline: Any) -> Any:
    unet = getattr(pipeline, "unet", None)
    if type(unet).__name__ != "UNet2DModel":
        raise ConfigError(
            f"pipeline: {type(pipeline).__name__} has a {type(unet).__name__} as its unet; expected"
            " an unconditional pipeline with a UNet2DModel, such as DDPMPipeline"
        )
    return unet


def _lambda(method: str, lam: float | str | None, output_function: str) -> float:
    if lam == "rule":
        if output_function not in RULE:
            raise ConfigError(
                f"lam: there is no rule for {method}, whose output function is {output_function};"
                " name a number"
            )
        return RULE[output_function]
    if not isinstance(lam, (int, float)) or not lam > 0:
        raise ConfigError(
            f"lam: found {lam!r}; {method} needs a positive number in units of the mean |phi|^2, or"
            ' "rule" for the one that docs/own-model.md gives the evidence for'
        )
    return float(lam)


def _schedule(scheduler: Any) -> NoiseSchedule:
    """Return the noise schedule of a diffusers scheduler."""
    found = scheduler.config
    if found.get("prediction_type", "epsilon") != "epsilon":
        raise ConfigError(
            f"pipeline: its scheduler predicts {found['prediction_type']}, expected epsilon, the"
            " noise"
        )
    if found.get("trained_betas") is not None or found["beta_schedule"] not in _BETA_SCHEDULES:
        raise ConfigError(
            f"pipeline: its scheduler has betas of its own or the schedule"
            f" {found.get('beta_schedule')}; expected one of {', '.join(_BETA_SCHEDULES)}"
        )
    return NoiseSchedule(
        n_timesteps=found["num_train_timesteps"],
        beta_schedule=found["beta_schedule"],
        beta_start=found["beta_start"],
        beta_end=found["beta_end"],
    )


def _checked(name: str, images: Any, unet: Any) -> Float32[np.ndarray, "image c h w"]:
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    side = unet.config["sample_size"]
    sides = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
    expected = (unet.config["in_channels"], *sides)
    if array.ndim != 4 or not len(array) or array.shape[1:] != expected:
        raise ConfigError(
            f"{name}: found shape {array.shape}, expected (image, {', '.join(map(str, expected))})"
        )
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise ConfigError(f"{name}: found {array.dtype}, expected finite numbers in [-1, 1]")
    if array.min() < -1 - 1e-3 or array.max() > 1 + 1e-3:
        raise ConfigError(
            f"{name}: values from {array.min():g} to {array.max():g}, expected [-1, 1]; the pixels"
            " of files are x / 127.5 - 1"
        )
    return np.ascontiguousarray(array, dtype=np.float32)
