"""Small networks, an EK-FAC fitted to them, and their exact Jacobians in float64."""

import copy

import msgspec
import numpy as np
import torch
from tiny import MODEL, SCHEDULE
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from diffattr import rng
from diffattr.config import Curvature
from diffattr.diffusion.models import build
from diffattr.features.curvature import EkFac, covered_layers

SEED = 4
IDS = np.array([12, 3, 700])
STEPS = (0, 500)
ABAR = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
SETTINGS = ("expand", "reduce")


class Net(nn.Module):
    """What the tiny networks below share: a plain function of x_t, called as diffusers' are."""

    def __init__(self, seed=1, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        generator = np.random.default_rng(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                weights = generator.standard_normal(tuple(parameter.shape))
                parameter.copy_(torch.from_numpy(0.6 * weights))

    def forward(self, x, timesteps, return_dict):
        assert x.shape[:1] == timesteps.shape
        assert return_dict is False
        return (self.of(x),)


class DeepLinear(Net):
    def __init__(self):
        super().__init__(first=nn.Linear(4, 3), second=nn.Linear(3, 4))

    def of(self, x):
        return self.second(self.first(x.flatten(1))).view_as(x)


class Mixed(Net):
    """A strided convolution, a linear layer on tokens, and one without bias."""

    def __init__(self):
        super().__init__(
            conv=nn.Conv2d(1, 3, 3, stride=2, padding=1),
            tokens=nn.Linear(3, 2),
            out=nn.Conv2d(2, 4, 1, bias=False),
        )

    def of(self, x):
        hidden = torch.tanh(self.conv(x))
        tokens = torch.tanh(self.tokens(hidden.flatten(2).mT))
        hidden = tokens.mT.reshape(len(x), 2, *hidden.shape[2:])
        return nn.functional.pixel_shuffle(self.out(hidden), 2)


class Awkward(Net):
    """A layer called twice, outputs changed in place, and parameters that are not covered."""

    def __init__(self):
        super().__init__(
            frozen=nn.Conv2d(1, 2, 1),
            norm=nn.GroupNorm(1, 2),
            twice=nn.Conv2d(2, 2, 3, padding=1),
            grouped=nn.Conv2d(2, 2, 1, groups=2),
            wrapped=nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
            out=nn.Conv2d(2, 1, 1),
        )
        self.frozen.requires_grad_(False)
        self.out.bias.requires_grad_(False)

    def of(self, x):
        x = self.twice(self.norm(self.frozen(x)))
        x = self.twice(x.tanh_().mul(2))
        return self.out(self.wrapped(self.grouped(x.sigmoid_())))


def attention_network():
    config = {
        **MODEL.config,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "attention_head_dim": 4,
        "add_attention": True,
    }
    built = build(msgspec.structs.replace(MODEL, config=config), seed=3)
    generator = np.random.default_rng(2)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.from_numpy(generator.standard_normal(parameter.shape)))
    return built


def small_images(n, size):
    noise = np.random.default_rng(7).standard_normal((n, 1, size, size))
    return np.tanh(noise).astype(np.float32)


def fit(net, pictures, setting="expand", draws=2, seed=SEED, ids=IDS, **rest):
    options = Curvature(n_timesteps=len(STEPS), draws=draws, approximation=setting)
    return EkFac.fit(net, pictures, ids, SCHEDULE, options, seed, **rest)


def noised_examples(pictures, draws):
    """x_t and t of every (image, timestep, draw), with the noise that the documentation names."""
    stream, xs, ts = rng.Stream(SEED, "curvature"), [], []
    for picture, image_id in zip(pictures, IDS, strict=True):
        for t in STEPS:
            for draw in range(draws):
                noise = stream.normal(int(image_id), t, draw, picture.shape)
                xs.append(np.sqrt(ABAR[t]) * picture + np.sqrt(1 - ABAR[t]) * noise)
                ts.append(t)
    return torch.tensor(np.array(xs), dtype=torch.float64), torch.tensor(ts)


def jacobians(net, pictures, draws):
    """The Jacobians (example, pixel, out, in) of every covered layer, in float64."""
    double = copy.deepcopy(net).eval().double()
    weights = {n: p.detach() for n, p in double.named_parameters() if p.requires_grad}

    def prediction(weights, x, t):
        call = functional_call(double, weights, (x[None], t[None]), {"return_dict": False})
        return call[0].flatten()

    with sdpa_kernel(SDPBackend.MATH):
        by_name = vmap(jacrev(prediction), in_dims=(None, 0, 0))(
            weights, *noised_examples(pictures, draws)
        )
    found = {}
    for layer in covered_layers(net):
        weight = by_name[f"{layer.name}.weight"].flatten(3)
        bias = by_name.get(f"{layer.name}.bias")
        whole = weight if bias is None else torch.cat([weight, bias[..., None]], dim=3)
        found[layer.name] = whole.numpy()
    return found


def by_layer(ekfac):
    """The basis (in, in), (out, out) and eigenvalues (out, in) of every layer, in float64."""
    found, start = {}, 0
    for layer, basis in zip(ekfac.layers, ekfac.bases, strict=True):
        n = layer.n_out * layer.n_in
        block = ekfac.eigenvalues[start : start + n].reshape(layer.n_out, layer.n_in)
        found[layer.name] = [x.double().numpy() for x in (basis.of_a, basis.of_g, block)]
        start += n
    assert start == len(ekfac.eigenvalues)
    return found
