"""Projected gradients of output functions.

    phi(x) = P grad_theta  mean over (t, draw) of f(x_t, t)

The gradient of the mean is one backward pass over all timesteps of one image: no per-timestep
gradient is formed. All output functions of a pass share the forward pass.

With `unit_gradients` each timestep's gradient is scaled to length 1 before the mean, so that no
timestep outweighs the others:

    phi(x) = P  mean over (t, draw) of  g_t / |g_t|,     g_t = grad_theta f(x_t, t)

Sources: Xie et al., "Data attribution for diffusion models: timestep-induced bias in influence
estimation" (TMLR 2024), eq. 10, for the loss; Lin et al., "Diffusion attribution score" (ICLR
2025), for the mean prediction.

A part of the gradient at x_t comes from the noise in x_t. With per-image noise this part differs
between a query and a training image and only averages out over many timesteps; with common noise it
is the same on both sides, so that their inner product compares the images.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from diffattr import plugins, rng
from diffattr.config import NoiseSchedule, Pass
from diffattr.diffusion.denoising import Denoising, loss
from diffattr.diffusion.models import n_trained, predict, trained_parameters
from diffattr.diffusion.noising import alphas_cumprod, elbo_weights, noised, stacked_noise
from diffattr.features.output_functions import OUTPUT_FUNCTIONS, output_function
from diffattr.features.projectors import Projector
from diffattr.features.projectors import make as make_projector
from diffattr.features.store import TIMESTEP_LOSSES


def timestep_set(kind: str, n: int, n_timesteps: int) -> Int64[np.ndarray, " timestep"]:
    """Return n timesteps: `uniform` 0, T/n, 2T/n, ... or `cumulative` 0 ... n-1 (D-TRAK's sets).

    Raises:
        ValueError: the schedule has fewer than n.
    """
    if n > n_timesteps:
        raise ValueError(f"found {n} timesteps, allowed: at most the schedule's {n_timesteps}")
    return np.arange(n) if kind == "cumulative" else np.arange(n) * n_timesteps // n


_LARGEST_JACOBIAN = 2**26
"""Numbers in the per-timestep gradients of one batch (256 MB)."""


_Grid = list[tuple[int, int]]
"""The (timestep, draw) pairs of one image."""
_Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""x_t, t, noise and ELBO weight, (item, ...)."""


class GradientPass:
    """Computes the features of one network, which was trained with this noise schedule.

    `seed` keys the noise; `projector` replaces the one in `options`.

    Raises:
        ConfigError: the projector cannot give this k, or its backend is not there.
        PluginError: an output function cannot be loaded.
        ValueError: the noise schedule has fewer timesteps than `options` ask for.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: NoiseSchedule,
        options: Pass,
        seed: int,
        *,
        device: str = "cpu",
        projector: Projector | None = None,
    ):
        self.options, self.seed, self.device = options, seed, device
        self.network = network.eval().to(device)
        self.parameters = trained_parameters(self.network)
        timesteps = timestep_set(options.timesteps, options.n_timesteps, schedule.n_timesteps)
        self.grid: _Grid = list(itertools.product(timesteps.tolist(), range(options.draws)))
        self.abar, self.elbo_weights = alphas_cumprod(schedule), elbo_weights(schedule)
        self.common = options.noise == "common"
        self.functions = {name: output_function(name) for name in options.output_functions}
        self.projector = projector or make_projector(
            options.projector, n_trained(self.network), device
        )

    def identity(self, model_sha256: str) -> dict[str, Any]:
        """Return everything that both sides of a score must have in common."""
        return {
            "projector": self.projector.identity(),
            "model": model_sha256,
            "timesteps": {
                "kind": self.options.timesteps,
                "n_timesteps": self.options.n_timesteps,
                "draws": self.options.draws,
                "unit_gradients": self.options.unit_gradients,
            },
            "noise": self.options.noise,
            "seed": self.seed,
        }

    def features(
        self,
        images: Float32[np.ndarray, "image *step channel height width"],
        ids: Int64[np.ndarray, " image"],
        split: str,
        *,
        timesteps: Sequence[int] | None = None,
        labels: Int64[np.ndarray, " image"] | None = None,
        batch_size: int = 128,
    ) -> dict[str, Float32[np.ndarray, "image _"]]:
        """Return the features (image, k) of every image, by output function.

        `TIMESTEP_LOSSES` has the losses of the forward pass (image, timestep), mean over draws.
        Noise is keyed by (timestep, draw) and, unless it is common, by (split, image);
        `batch_size`, the number of timesteps that share a forward pass, changes rounding only. With
        `timesteps`, each image is a trajectory whose step s is noised to `timesteps[s]`, one draw
        each. `labels` are for networks conditioned on captions.

        Raises:
            PluginError: an output function of a plug-in raised, broke its contract, or has a
                gradient that is not finite.
        """
        sources, grid, n_draws = images, self.grid, self.options.draws
        if timesteps is None:
            sources = images[:, None]
        else:
            grid, n_draws = [(timestep, 0) for timestep in timesteps], 1
        names = self.options.output_functions
        stream = rng.Stream(self.seed, "features", *([] if self.common else [split]))
        gathered: dict[str, list[Tensor]] = {name: [] for name in names}
        projected: dict[str, list[Tensor]] = {name: [] for name in names}
        losses = []
        on_device = None if labels is None else torch.from_numpy(labels).to(self.device)
        compute = self._of_mean
        if self.options.unit_gradients:
            compute = self._mean_of_unit
            n_numbers = len(names) * n_trained(self.network)
            batch_size = max(1, min(batch_size, _LARGEST_JACOBIAN // n_numbers))
        progress = tqdm(range(len(sources)), desc=f"features {split}", unit="image", mininterval=10)
        for number in progress:
            image_id = 0 if self.common else int(ids[number])
            items = self._items(sources[number], grid, image_id, stream, batch_size)
            label = None if on_device is None else on_device[number : number + 1]
            gradients, losses_of_image = compute(items, len(grid), label)
            losses.append(losses_of_image.cpu())
            for name, gradient in gradients.items():
                gathered[name].append(gradient)
            if len(gathered[names[0]]) == self.projector.rows or number == len(sources) - 1:
                for name in names:
                    projected[name].append(self.projector(torch.stack(gathered[name])).cpu())
                    gathered[name].clear()
        features = {name: torch.cat(projected[name]).numpy() for name in names}
        for name in set(names) - OUTPUT_FUNCTIONS.keys():
            if n_bad := np.count_nonzero(~np.isfinite(features[name]).all(axis=1)):
                raise plugins.PluginError(
                    f"plug-in {name}: its gradient has NaN or infinity for {n_bad} of"
                    f" {len(sources)} images of split {split}"
                )
        by_draw = torch.stack(losses).numpy().reshape(len(sources), -1, n_draws)
        return {**features, TIMESTEP_LOSSES: by_draw.mean(axis=2)}

    def _items(
        self,
        source: Float32[np.ndarray, "item channel height width"],
        grid: _Grid,
        image_id: int,
        stream: rng.Stream,
        batch_size: int,
    ) -> Iterator[_Batch]:
        """Yield the grid's items, `batch_size` at a time."""
        clean = torch.from_numpy(source).expand(len(grid), *source.shape[1:])
        for start in range(0, len(grid), batch_size):
            chosen = slice(start, start + batch_size)
            t = torch.tensor([timestep for timestep, _ in grid[chosen]])
            keys = [(image_id, *pair) for pair in grid[chosen]]
            noise = stacked_noise(stream, keys, source.shape[1:])
            x = noised(clean[chosen], noise, self.abar[t])
            to = self.device
            yield x.to(to), t.to(to), noise.to(to), self.elbo_weights[t].to(to)

    def _of_mean(
        self, items: Iterator[_Batch], n: int, label: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient (param,) of the mean, by output function, and the losses (item,)."""
        names, parameters = self.options.output_functions, list(self.parameters.values())
        sums: dict[str, list[Tensor]] = {}
        losses = []
        for x, t, noise, elbo_weight in items:
            labels = None if label is None else label.expand(len(x))
            denoising = Denoising(predict(self.network, x, t, labels), noise, elbo_weight)
            losses.append(loss(denoising).detach())
            for name in names:
                mean = self.functions[name](denoising).sum() / n
                gradients = torch.autograd.grad(mean, parameters, retain_graph=name != names[-1])
                if name in sums:
                    for total, gradient in zip(sums[name], gradients, strict=True):
                        total.add_(gradient)
                else:
                    sums[name] = list(gradients)
        flat = {name: torch.cat([g.flatten() for g in sums[name]]) for name in names}
        return flat, torch.cat(losses)

    def _mean_of_unit(
        self, items: Iterator[_Batch], n: int, label: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the mean of unit gradients (param,), by output function, and the losses."""
        names = self.options.output_functions

        def of_one(
            parameters: dict[str, Tensor], x: Tensor, t: Tensor, noise: Tensor, weight: Tensor
        ) -> tuple[list[dict[str, Tensor]], Tensor]:
            """Return the gradient of each output function at one (x_t, t), and the loss."""

            def values(parameters: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
                prediction = predict(self.network, x[None], t[None], label, parameters)
                denoising = Denoising(prediction, noise[None], weight[None])
                found = tuple(self.functions[name](denoising)[0] for name in names)
                return found, loss(denoising)[0]

            pulled_back: Any = vjp(values, parameters, has_aux=True)
            found, backward, loss_here = pulled_back
            units = torch.eye(len(found), device=x.device)
            return [backward(tuple(unit))[0] for unit in units], loss_here

        per_item = vmap(of_one, in_dims=(None, 0, 0, 0, 0))
        parameters = {name: parameter.detach() for name, parameter in self.parameters.items()}
        sums = [[torch.zeros_like(p) for p in parameters.values()] for _ in names]
        losses = []
        for batch in items:
            # torch.func has no rule for the fused attention kernels.
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                gradients, losses_of_batch = per_item(parameters, *batch)
            losses.append(losses_of_batch)
            for totals, of_function in zip(sums, gradients, strict=True):
                by_parameter = list(of_function.values())
                norms = torch.stack([g.flatten(1).norm(dim=1) for g in by_parameter]).norm(dim=0)
                # A gradient of zero has no direction and stays zero.
                scale = torch.where(norms == 0, 0, 1 / norms) / n
                for total, gradient in zip(totals, by_parameter, strict=True):
                    total += torch.tensordot(scale, gradient, 1)
        flat = [torch.cat([total.flatten() for total in totals]) for totals in sums]
        return dict(zip(names, flat, strict=True)), torch.cat(losses)


def batch_invariance(
    gradient_pass: GradientPass,
    images: Float32[np.ndarray, "image channel height width"],
    ids: Int64[np.ndarray, " image"],
    split: str,
    stored: Mapping[str, Float32[np.ndarray, "image _"]],
    n_images: int = 4,
    *,
    labels: Int64[np.ndarray, " image"] | None = None,
) -> dict[str, Any]:
    """Return how much features change with batch size and order.

    Those of the first images are recomputed in reverse order with 7 timesteps per batch; the
    relative error is max |again - stored| / |stored| over images, absolute for a feature of zero.

    Raises:
        PluginError: as `GradientPass.features`.
    """
    n_images = min(n_images, len(images))
    order = np.arange(n_images)[::-1]
    reordered = None if labels is None else labels[order]
    again = gradient_pass.features(images[order], ids[order], split, labels=reordered, batch_size=7)
    errors = {}
    for name, rows in stored.items():
        difference = np.linalg.norm(again[name][order] - rows[:n_images], axis=1)
        lengths = np.linalg.norm(rows[:n_images], axis=1)
        errors[name] = float((difference / np.where(lengths == 0, 1, lengths)).max())
    return {"n_images": n_images, "largest_relative_error": errors}
