"""What does a projection cost, compared with the gradient that it projects?"""

import torch
from common import arguments, interleaved, show, unet

from diffattr.config import ProjectorOptions
from diffattr.diffusion.models import build, predict
from diffattr.features.projectors import make

options = arguments(__doc__)
network = build(unet(8), seed=0).eval()
parameters = list(network.parameters())
n_parameters = sum(p.numel() for p in parameters)
x, timesteps = torch.randn(10, 1, 8, 8), torch.arange(0, 1000, 100)


def gradient():
    """One image at 10 timesteps."""
    value = predict(network, x, timesteps).square().mean()
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)])


rows = []
base = interleaved({"gradient": gradient}, rounds=2 if options.tiny else 10)["gradient"]
kinds = [("sjlt", 4096), ("sjlt", 32768), ("none", None)]
kinds += [("rademacher", 64)] if options.tiny else [("rademacher", 1024), ("normal", 1024)]
for kind, k in kinds:
    projector = make(ProjectorOptions(kind=kind, k=k), n_parameters)
    rows_at_once = gradient().expand(projector.rows, -1).contiguous()
    seconds = interleaved({kind: lambda p=projector, r=rows_at_once: p(r)}, rounds=1)[kind]
    per_gradient = seconds / projector.rows
    rows.append([kind, k or n_parameters, 1e3 * per_gradient, per_gradient / base])
show(
    f"Projecting one gradient of {n_parameters:,} parameters (the gradient itself, at 10 timesteps,"
    f" takes {1e3 * base:.1f} ms)",
    ["projector", "k", "ms per gradient", "times the gradient's cost"],
    rows,
)
