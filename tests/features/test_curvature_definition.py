"""EK-FAC against its definition, one example at a time in float64, and against curvlinops."""

import copy
import math

import numpy as np
import pytest
import torch
from fitted_curvature import (
    IDS,
    SEED,
    SETTINGS,
    STEPS,
    Mixed,
    attention_network,
    by_layer,
    fit,
    noised_examples,
    small_images,
)
from tiny import images, network
from torch import nn

from diffattr import rng


def patches(x, n_out, module):
    """The inputs a_s (position, in) of a layer for one example, by slices."""
    if isinstance(module, nn.Linear):
        return x.reshape(-1, x.shape[-1])
    (size, _), (pad, _), (stride, _) = module.kernel_size, module.padding, module.stride
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    return np.array(
        [
            padded[:, i : i + size, j : j + size].ravel()
            for i in range(0, padded.shape[1] - size + 1, stride)
            for j in range(0, padded.shape[2] - size + 1, stride)
        ]
    )


def by_definition(net, pictures, setting, draws):
    """Bases and eigenvalues of every layer: one example at a time, in float64."""
    net = copy.deepcopy(net).double()
    x, t = noised_examples(pictures, draws)
    keys = [(int(i), s, draw) for i in IDS for s in STEPS for draw in range(draws)]
    a_sums, g_sums, gradients = {}, {}, {}
    for purpose in ("bases", "eigenvalues"):
        stream = rng.Stream(SEED, "curvature-targets", purpose)
        for number, key in enumerate(keys):
            kept = {}

            def keep(module, args, out, kept=kept):
                out.retain_grad()
                kept[module] = args[0], out

            hooks = [module.register_forward_hook(keep) for module in net.children()]
            prediction = net(x[number : number + 1], t[number : number + 1], False)[0]
            # The documented loss at a target drawn from the model.
            d = prediction.numel()
            residual = math.sqrt(d / 2) * stream.normal(*key, tuple(prediction.shape[1:]))
            target = prediction.detach() - torch.from_numpy(residual)[None].double()
            net.zero_grad()
            (prediction - target).square().mean().backward()
            for hook in hooks:
                hook.remove()
            for name, module in net.named_children():
                inputs, out = kept[module]
                if purpose == "eigenvalues":
                    both = [module.weight.grad.flatten(1)]
                    both += [module.bias.grad[:, None]] if module.bias is not None else []
                    gradients.setdefault(name, []).append(torch.cat(both, 1).numpy().copy())
                    continue
                a = patches(inputs[0].detach().numpy(), out.shape[1], module)
                if module.bias is not None:
                    a = np.concatenate([a, np.ones((len(a), 1))], axis=1)
                g = out.grad[0].numpy()
                g = g if isinstance(module, nn.Linear) else g.reshape(len(g), -1).T
                if setting == "expand":
                    a_factor, g_factor = a.T @ a / len(a), g.T @ g
                else:
                    a_mean, g_sum = a.mean(axis=0), g.sum(axis=0)
                    a_factor, g_factor = np.outer(a_mean, a_mean), np.outer(g_sum, g_sum)
                a_sums[name] = a_sums.get(name, 0) + a_factor
                g_sums[name] = g_sums.get(name, 0) + g_factor
    found = {}
    for name in a_sums:
        v, u = np.linalg.eigh(a_sums[name])[1], np.linalg.eigh(g_sums[name])[1]
        rotated = np.einsum("oi,noa,aj->nij", u, np.array(gradients[name]), v, optimize=True)
        found[name] = v, u, np.square(rotated).mean(axis=0)
    return found


def test_expand_and_reduce_are_what_they_are_defined_to_be():
    net, pictures = Mixed(), small_images(3, 4)
    eigenvalues = []
    for setting in SETTINGS:
        found = by_layer(fit(net, pictures, setting, draws=6))
        expected = by_definition(net, pictures, setting, draws=6)
        assert found.keys() == expected.keys()
        for name, (v, u, values) in expected.items():
            for own, other in zip(found[name][:2], (v, u), strict=True):
                # Up to the sign of each eigenvector; float32 sums tell close ones apart to 5e-3.
                np.testing.assert_allclose(np.abs(own.T @ other), np.eye(len(own)), atol=5e-3)
            np.testing.assert_allclose(found[name][2], values, rtol=1e-2, atol=1e-4 * values.max())
        eigenvalues.append(np.concatenate([block.ravel() for *_, block in found.values()]))
    assert np.abs(eigenvalues[0] - eigenvalues[1]).max() > 0.05 * eigenvalues[0].max()


@pytest.mark.parametrize(
    ("make", "size", "setting"),
    [
        (network, 8, "expand"),
        (attention_network, 8, "expand"),
        (Mixed, 4, "expand"),
        # Not of a normalised network: see the order of batches above.
        (Mixed, 4, "reduce"),
    ],
)
def test_it_agrees_with_curvlinops(make, size, setting):
    """Given our noise and our targets; its own come from one generator, in the order of batches."""
    curvlinops = pytest.importorskip("curvlinops")
    net, draws, d = make().eval(), 10, size**2
    pictures = images(3) if size == 8 else small_images(3, size)
    x, t = noised_examples(pictures, draws)
    keys = [(int(i), s, draw) for i in IDS for s in STEPS for draw in range(draws)]

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, inputs):
            x = inputs[:, :d].view(-1, 1, size, size)
            return self.net(x, inputs[:, d], return_dict=False)[0].flatten(1)

    class Keyed(curvlinops.EKFACLinearOperator):
        def compute_kronecker_factors(self):
            self.purpose, self.place = "bases", 0
            super().compute_kronecker_factors()

        def compute_eigenvalue_correction(self):
            self.purpose, self.place = "eigenvalues", 0
            super().compute_eigenvalue_correction()

        def draw_label(self, output):
            stream = rng.Stream(SEED, "curvature-targets", self.purpose)
            chosen = keys[self.place : self.place + len(output)]
            self.place += len(output)
            drawn = np.stack([stream.normal(*key, (d,)) for key in chosen])
            return output.detach() + 0.5**0.5 * torch.from_numpy(drawn)

    inputs = torch.cat([x.flatten(1), t[:, None]], dim=1).float()
    ekfac = fit(net, pictures, setting, draws)
    named = dict(net.named_parameters())
    names = [f"{layer.name}.{part}" for layer in ekfac.layers for part in ("weight", "bias")]
    chosen = [named[name] for name in names if name in named]
    operator = Keyed(
        Flat(),
        nn.MSELoss(),
        chosen,
        [(batch, torch.zeros(len(batch), d)) for batch in inputs.split(25)],
        kfac_approx=setting,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )
    generator = np.random.default_rng(0)
    one, other = torch.tensor(generator.standard_normal((2, ekfac.n_parameters))).float()
    coordinates = ekfac(torch.stack([one, other])).double().numpy()
    eigenvalues = ekfac.eigenvalues.double().numpy()
    damping = 0.01 * eigenvalues.max()
    found = coordinates[0] / (eigenvalues + damping) @ coordinates[1]

    sizes = [parameter.numel() for parameter in named.values()]
    parts = [dict(zip(named, v.split(sizes), strict=True)) for v in (one, other)]
    vectors = [torch.cat([p[name] for name in names if name in p]) for p in parts]
    inverse = curvlinops.KFACInverseLinearOperator(
        operator, damping=damping, use_exact_damping=True
    )
    expected = float(vectors[0] @ (inverse @ vectors[1]))
    assert found == pytest.approx(expected, rel=1e-3)
    assert eigenvalues.sum() == pytest.approx(float(operator.trace), rel=1e-4)
