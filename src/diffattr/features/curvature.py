"""EK-FAC: the curvature of a denoising network, diagonal in a basis of Kronecker products.

The loss is L = mean over (image, timestep, noise) of |eps - e(x_t, t)|^2 / d with d pixels. Its
generalised Gauss-Newton matrix, the model GGN, is

    GGN = E[J' (2/d) I J],    J = d e(x_t, t) / d theta

Its Monte-Carlo Fisher: |y - e|^2 / d is, up to a constant, -log p(y) of y ~ N(e, d/2 I). At a
target y = e + r sampled from there, r ~ N(0, d/2 I), one example has the gradient g = -(2/d) J' r,
and

    E[g g' | x_t] = (2/d)^2 J' (d/2 I) J = J' (2/d) I J

so that E[g g'] is the GGN exactly. The code uses sqrt(2/d) z, z ~ N(0, I), for -(2/d) r.

A layer with inputs a_s and output gradients g_s at positions s (pixels, tokens) has the gradient
sum_s g_s a_s'; a 1 at the end of a_s makes its last column the bias. K-FAC approximates the layer's
block of the GGN by a multiple of G (x) A, with

    expand   A = E sum_s a_s a_s'                G = E sum_s g_s g_s'
    reduce   A = E (sum_s a_s) (sum_s a_s)'      G = E (sum_s g_s) (sum_s g_s)'

EK-FAC keeps only the eigenvectors v of A and u of G, and assigns to each pair the second moment
E[(u' (sum_s g_s a_s') v)^2], which is the GGN's diagonal in this basis, for both expand and
reduce. With coordinates q_i and n_i of two gradients in the basis,

    q' (EK-FAC + damping I)^-1 n = sum_i q_i n_i / (eigenvalue_i + damping)

Where a factor is singular, rounding determines its eigenvectors. With expand and more examples than
channels, gradients vanish there; with reduce they do not: after a normalisation the summed inputs
are nearly collinear, so that another batch size changes single eigenvalues, but not their sum.

Sources: the model GGN: Mlodozeniec et al. (ICLR 2025); expand and reduce: Eschenhagen et al.
(NeurIPS 2023); the eigenvalues: George et al. (NeurIPS 2018); influence: Grosse et al. (2023).
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from diffattr import rng
from diffattr.artifacts import ArtifactError, read_arrays, write_arrays
from diffattr.config import Curvature, NoiseSchedule
from diffattr.diffusion.models import n_trained, predict, slices, trained_parameters
from diffattr.diffusion.noising import alphas_cumprod, noised, stacked_noise
from diffattr.features.gradients import timestep_set


@dataclass(frozen=True)
class Layer:
    """A covered layer, and the offsets of weight and bias among all flattened parameters.

    Its gradient is (n_out, n_in); the last column is the bias if there is one.
    """

    name: str
    weight: int
    bias: int | None
    n_out: int
    n_in: int

    def gradient(
        self, flat: Float32[Tensor, "image param"]
    ) -> Float32[Tensor, "image output input"]:
        """Return the layer's part of full gradients."""
        columns = self.n_in - (self.bias is not None)
        weight = flat[:, self.weight : self.weight + self.n_out * columns]
        weight = weight.unflatten(1, (self.n_out, columns))
        if self.bias is None:
            return weight
        return torch.cat([weight, flat[:, self.bias : self.bias + self.n_out, None]], dim=2)


def covered_layers(network: nn.Module) -> tuple[Layer, ...]:
    """Return the linear layers and ungrouped, zero-padded convolutions whose weight is trained."""
    starts, end, layers = {}, 0, []
    for name, parameter in trained_parameters(network).items():
        starts[name], end = end, end + parameter.numel()
    for name, module in network.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d) or f"{name}.weight" not in starts:
            continue
        if isinstance(module, nn.Conv2d) and (
            module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str)
        ):
            continue
        weight, bias = starts[f"{name}.weight"], starts.get(f"{name}.bias")
        n_out, n_in = module.weight.flatten(1).shape
        layers.append(Layer(name, weight, bias, n_out, n_in + (bias is not None)))
    return tuple(layers)


@dataclass(frozen=True)
class Basis:
    """The orthonormal eigenvectors, as columns, of one layer's A and G."""

    of_a: Float32[Tensor, "input input"]
    of_g: Float32[Tensor, "output output"]

    def rotated(
        self, gradients: Float32[Tensor, "image output input"]
    ) -> Float32[Tensor, "image output input"]:
        """Return coordinates: entry (i, j) is along eigenvector i of G and j of A."""
        return self.of_g.T @ (gradients @ self.of_a)


@dataclass(frozen=True)
class EkFac:
    """The EK-FAC of one network, which takes the place of a projector.

    `eigenvalues` are (out, in) of each layer, flattened. `n_parameters` counts all trained
    parameters, covered or not. `fitted` names the network and how it was fitted, if read from a
    file.
    """

    rows = 16

    layers: tuple[Layer, ...]
    bases: tuple[Basis, ...]
    eigenvalues: Float32[Tensor, " covered"]
    n_parameters: int
    fitted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        network: nn.Module,
        images: Float32[np.ndarray, "image channel height width"],
        ids: Int64[np.ndarray, " image"],
        schedule: NoiseSchedule,
        options: Curvature,
        seed: int,
        *,
        batch_size: int = 128,
        device: str = "cpu",
    ) -> "EkFac":
        """Return the EK-FAC of a network on training images in [-1, 1].

        Of two passes over all (image, timestep, draw), the first gives the bases, the second the
        eigenvalues. They share the noise but sample different targets, so that no eigenvalue is
        biased by the sample that determined its direction. `batch_size` examples share a forward
        pass, with a gradient of one layer for each in memory; it changes rounding only.

        Raises:
            ValueError: the noise schedule has fewer timesteps than `options` ask for.
        """
        network, layers = network.eval().to(device), covered_layers(network)
        shapes = [(layer.n_out, layer.n_in) for layer in layers]

        def passed(purpose: str) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
            for x, t, slope in _examples(images, ids, schedule, options, seed, purpose, batch_size):
                yield _rows(network, layers, x.to(device), t.to(device), slope.to(device))

        factors = [[torch.zeros(n, n, device=device) for n in (i, o)] for o, i in shapes]
        for batch in passed("bases"):
            for sides, pair in zip(batch, factors, strict=True):
                for side, factor in zip(sides, pair, strict=True):
                    rows = side.flatten(0, 1) if options.approximation == "expand" else side.sum(1)
                    factor.addmm_(rows.T, rows)
        bases = [Basis(*(_eigenvectors(factor) for factor in pair)) for pair in factors]
        squares = [torch.zeros(shape, device=device) for shape in shapes]
        for batch in passed("eigenvalues"):
            for (a, g), basis, total in zip(batch, bases, squares, strict=True):
                total.add_(basis.rotated(g.mT @ a).square().sum(0))
        n_examples = len(images) * options.n_timesteps * options.draws
        eigenvalues = torch.cat([total.flatten() for total in squares]) / n_examples
        return cls(layers, tuple(bases), eigenvalues, n_trained(network))

    def __call__(
        self, gradients: Float32[Tensor, "image param"]
    ) -> Float32[Tensor, "image covered"]:
        """Return the coordinates of gradients, in the order of `eigenvalues`.

        A gradient holds all trained parameters, flattened in the order of `named_parameters()`;
        those that are not covered are left out.

        Raises:
            ValueError: the gradients have another number of parameters.
        """
        if gradients.shape[1] != self.n_parameters:
            raise ValueError(
                f"found gradients of {gradients.shape[1]} numbers, expected the network's"
                f" {self.n_parameters} trained parameters, without projection"
            )
        pairs = zip(self.layers, self.bases, strict=True)
        return torch.cat([b.rotated(layer.gradient(gradients)).flatten(1) for layer, b in pairs], 1)

    def identity(self) -> dict[str, Any]:
        """Return the identity of the curvature.

        Raises:
            ValueError: it was not read from a file, so nothing tells it from another.
        """
        if not self.fitted:
            raise ValueError("an EK-FAC projects only once it was read from its file")
        return {"kind": "curvature", **self.fitted}

    def write(self, path: str | Path, identity: Mapping[str, Any]) -> None:
        """Write all arrays as float32; `identity` names the network and how it was fitted."""
        arrays = {"eigenvalues": self.eigenvalues}
        for layer, basis in zip(self.layers, self.bases, strict=True):
            arrays |= {f"{layer.name}:A": basis.of_a, f"{layer.name}:G": basis.of_g}
        stored = {name: array.cpu().numpy() for name, array in arrays.items()}
        write_arrays(path, stored, {"identity": dict(identity)})

    @classmethod
    def read(cls, path: str | Path, network: nn.Module, *, device: str = "cpu") -> "EkFac":
        """Return the EK-FAC of a network of this architecture.

        Raises:
            ArtifactError: the file is damaged, or its layers are not the network's.
        """
        layers, stored = covered_layers(network), read_arrays(path)
        shapes: dict[str, tuple[int, ...]] = {
            "eigenvalues": (sum(layer.n_out * layer.n_in for layer in layers),)
        }
        for layer in layers:
            shapes[f"{layer.name}:A"] = (layer.n_in, layer.n_in)
            shapes[f"{layer.name}:G"] = (layer.n_out, layer.n_out)
        for name in {**shapes, **stored.arrays}:
            found, needed = stored[name], shapes.get(name)
            if found.shape != needed or found.dtype != np.float32:
                raise ArtifactError(
                    f"{path}: {name} is {found.dtype} {found.shape}, the network has"
                    f" {f'float32 {needed}' if needed else 'no such layer'}; a curvature belongs to"
                    f" one network. Rebuild it: snakemake --force {path}"
                )
            if not np.isfinite(found).all():
                raise ArtifactError(
                    f"{path}: {name} is not finite; rebuild it: snakemake --force {path}"
                )
        tensors = {name: torch.from_numpy(stored[name]).to(device) for name in shapes}
        bases = (Basis(tensors[f"{x.name}:A"], tensors[f"{x.name}:G"]) for x in layers)
        eigenvalues, identity = tensors["eigenvalues"], stored.attribute("identity")
        return cls(layers, tuple(bases), eigenvalues, n_trained(network), identity)


def _eigenvectors(factor: Tensor) -> Tensor:
    # In float64, since float32 does not separate close eigenvalues well.
    return torch.linalg.eigh(factor.double()).eigenvectors.float().contiguous()


def _examples(
    images: np.ndarray,
    ids: np.ndarray,
    schedule: NoiseSchedule,
    options: Curvature,
    seed: int,
    purpose: str,
    batch_size: int,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield x_t, t and the loss's gradient at the prediction for sampled targets, sqrt(2/d) z."""
    timesteps = timestep_set("uniform", options.n_timesteps, schedule.n_timesteps)
    grid = (len(images), len(timesteps), options.draws)
    numbers, steps, draws = (axis.ravel() for axis in np.indices(grid))
    noises = rng.Stream(seed, "curvature")
    targets = rng.Stream(seed, "curvature-targets", purpose)
    abar, shape = alphas_cumprod(schedule), images.shape[1:]
    for batch in slices(len(numbers), batch_size, f"curvature {purpose}"):
        t = torch.from_numpy(timesteps[steps[batch]])
        of_batch = ids[numbers[batch]].tolist(), t.tolist(), draws[batch].tolist()
        keys = list(zip(*of_batch, strict=True))
        clean = torch.from_numpy(images[numbers[batch]])
        x = noised(clean, stacked_noise(noises, keys, shape), abar[t])
        yield x, t, (2 / clean[0].numel()) ** 0.5 * stacked_noise(targets, keys, shape)


def _rows(
    network: nn.Module, layers: tuple[Layer, ...], x: Tensor, t: Tensor, slope: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, layer by layer, a_s (example, position, in) and g_s (example, position, out)."""
    calls: list[tuple[str, Tensor, Any]] = []

    def keep(name: str):
        # An edge of the graph, since an in-place operation replaces the output tensor.
        return lambda _, args, out: calls.append((name, args[0].detach(), get_gradient_edge(out)))

    with contextlib.ExitStack() as hooks, torch.enable_grad():
        for layer in layers:
            module = network.get_submodule(layer.name)
            hooks.enter_context(module.register_forward_hook(keep(layer.name)))
        prediction = predict(network, x, t)
    gradients = torch.autograd.grad(prediction, [edge for *_, edge in calls], slope)
    for layer in layers:
        module, a, g = network.get_submodule(layer.name), [], []
        for (name, inputs, _), gradient in zip(calls, gradients, strict=True):
            if name != layer.name:
                continue
            if isinstance(module, nn.Conv2d):
                how: Any = (module.kernel_size, module.dilation, module.padding, module.stride)
                a.append(nn.functional.unfold(inputs, *how).mT)
                g.append(gradient.flatten(2).mT)
            else:
                a.append(inputs.reshape(len(x), -1, inputs.shape[-1]))
                g.append(gradient.reshape(len(x), -1, layer.n_out))
        # A layer that is called twice has the positions of both calls.
        rows, slopes = torch.cat(a, dim=1), torch.cat(g, dim=1)
        if layer.bias is not None:
            rows = torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], dim=2)
        yield rows, slopes
