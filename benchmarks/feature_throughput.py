"""What do projected gradients cost, against a plain forward and backward over the same batches?"""

import numpy as np
import torch
from common import SCHEDULE, arguments, interleaved, show, unet
from torch.func import functional_call, grad, vmap

from diffattr.config import Pass, ProjectorOptions
from diffattr.diffusion.models import build, predict
from diffattr.features.gradients import GradientPass
from diffattr.features.output_functions import OUTPUT_FUNCTIONS


def loss(prediction: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of every image."""
    return (prediction - noise).square().flatten(1).mean(1)


options = arguments(__doc__)
size, n_images = 8, 2 if options.tiny else 16
images = np.random.default_rng(0).standard_normal((n_images, 1, size, size)).astype(np.float32)
ids = np.arange(n_images)
network = build(unet(size), seed=0).eval()
parameters = list(network.parameters())
named = {name: p.detach() for name, p in network.named_parameters()}
rows = []
for n_timesteps in (10, 100):

    def features(functions, kind="sjlt", k=4096, n_timesteps=n_timesteps, unit=False):
        """Return a function that computes the features of all images."""
        gradient_pass = Pass(
            n_timesteps=n_timesteps,
            noise="per-image",
            output_functions=functions,
            projector=ProjectorOptions(kind=kind, k=k),
            unit_gradients=unit,
        )
        gradients = GradientPass(network, SCHEDULE, gradient_pass, seed=0)
        return lambda: gradients.features(images, ids, "train", batch_size=n_timesteps)

    noise = torch.randn(n_timesteps, 1, size, size)
    timesteps = torch.arange(n_timesteps) * 1000 // n_timesteps

    def plain(noise=noise, timesteps=timesteps):
        """Forward and backward over the same batches, and nothing else."""
        for image in torch.from_numpy(images):
            value = loss(predict(network, image + noise, timesteps), noise).mean()
            torch.autograd.grad(value, parameters)

    def per_sample(noise=noise, timesteps=timesteps):
        """The usual way: a gradient per image and timestep, then their mean."""

        def one(weights, x, eps, t):
            call = functional_call(network, weights, (x[None], t[None]), {"return_dict": False})
            return loss(call[0], eps[None]).sum()

        for image in torch.from_numpy(images):
            gradients = vmap(grad(one), in_dims=(None, 0, 0, 0))(
                named, image + noise, noise, timesteps
            )
            torch.cat([g.mean(0).flatten() for g in gradients.values()])

    seconds = interleaved(
        {
            "plain forward and backward": plain,
            "features, one output function": features(("loss",)),
            "features, two output functions": features(("loss", "mean-squared-l2-norm")),
            "features, seven output functions": features(tuple(OUTPUT_FUNCTIONS)[:7]),
            "features of unit gradients (DAS, ReTrac)": features(("mean",), unit=True),
            "the same, two output functions": features(("loss", "mean"), unit=True),
            "vmap(grad), not projected": per_sample,
        },
        rounds=1 if options.tiny else 5,
    )
    base = seconds["plain forward and backward"]
    rows += [[n_timesteps, name, n_images / s, base / s] for name, s in seconds.items()]
show(
    "Features on the default network (8x8), one thread",
    ["timesteps", "what", "images per second", "throughput relative to plain"],
    rows,
)
