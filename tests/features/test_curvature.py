"""EK-FAC against exact GGNs and definitions written down in float64, and against curvlinops."""

import copy
import math

import msgspec
import numpy as np
import pytest
import torch
from tiny import MODEL, SCHEDULE, images, network
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from diffattr import rng
from diffattr.artifacts import ArtifactError, read_arrays, write_arrays
from diffattr.config import Curvature
from diffattr.diffusion.models import build
from diffattr.features import curvature
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


@pytest.fixture
def all_targets(monkeypatch):
    """Targets that are no sample but sqrt(d) times every unit vector, one per draw of one noise.

    With d draws their second moment is the identity itself, so that the Fisher is the GGN.
    """
    drawn, noise = curvature.stacked_noise, rng.Stream(SEED, "curvature")

    def stacked_noise(stream, keys, shape):
        if np.array_equal(stream._key, noise._key):
            return drawn(stream, [(image, timestep, 0) for image, timestep, _ in keys], shape)
        d = math.prod(shape)
        return d**0.5 * torch.eye(d)[[draw for *_, draw in keys]].view(-1, *shape)

    monkeypatch.setattr(curvature, "stacked_noise", stacked_noise)


@pytest.mark.parametrize("setting", SETTINGS)
def test_it_is_the_block_of_the_ggn_for_a_deep_linear_network(all_targets, setting):
    """Each block is (2/d) W'W (x) E a a', W being what follows: a Kronecker product by itself."""
    net, pictures = DeepLinear(), small_images(3, 2)
    ekfac = fit(net, pictures, setting, draws=4)
    gradients = torch.tensor(np.random.default_rng(0).standard_normal((5, 31)), dtype=torch.float32)
    coordinates = ekfac(gradients).double().numpy()
    damping = 1e-3
    found = (coordinates / (ekfac.eigenvalues.numpy() + damping)) @ coordinates.T
    expected, spectrum, start = np.zeros((5, 5)), [], 0
    # first.weight (3, 4), first.bias (3), second.weight (4, 3), second.bias (4).
    for name, n_out, n_in in (("first", 3, 4), ("second", 4, 3)):
        j = jacobians(net, pictures, draws=1)[name].reshape(6, 4, -1)
        ggn = 2 / 4 * np.einsum("ndp,ndq->pq", j, j) / 6
        n = n_out * n_in
        parts = gradients[:, start : start + n + n_out].double().numpy()
        weight, bias = parts[:, :n].reshape(5, n_out, n_in), parts[:, n:, None]
        joined = np.concatenate([weight, bias], axis=2).reshape(5, -1)
        expected += joined @ np.linalg.solve(ggn + damping * np.eye(len(ggn)), joined.T)
        spectrum += np.linalg.eigvalsh(ggn).tolist()
        start += n + n_out
    # float32 through the network, divided by damping.
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(np.sort(ekfac.eigenvalues), np.sort(spectrum), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("make", "size"),
    [(network, 8), (attention_network, 8), (Mixed, 4), (Awkward, 4)],
    ids=["unet", "attention", "mixed", "awkward"],
)
def test_the_eigenvalues_are_the_diagonal_of_the_ggn(all_targets, make, size, setting):
    net = make()
    pictures = images(3) if size == 8 else small_images(3, size)
    found = by_layer(fit(net, pictures, setting, draws=size**2))
    jacobian = jacobians(net, pictures, draws=1)
    assert found.keys() == jacobian.keys()
    for name, (of_a, of_g, eigenvalues) in found.items():
        rotated = np.einsum("oi,ndoa,aj->ndij", of_g, jacobian[name], of_a, optimize=True)
        expected = 2 / size**2 * np.square(rotated).sum(axis=1).mean(axis=0)
        # float32 through the network, forth and back.
        np.testing.assert_allclose(eigenvalues, expected, atol=1e-4 * expected.max(), rtol=1e-3)


def test_sampled_targets_converge_to_the_ggn():
    """Given x_t, u'gv is N(0, s^2) with s^2 = (2/d) |J (u (x) v)|^2: the error is known."""
    net, pictures, draws = Mixed(), small_images(3, 4), 400
    found = by_layer(fit(net, pictures, draws=draws))
    deviations, traces = [], np.zeros(2)
    for name, jacobian in jacobians(net, pictures, draws).items():
        of_a, of_g, eigenvalues = found[name]
        rotated = np.einsum("oi,ndoa,aj->ndij", of_g, jacobian, of_a, optimize=True)
        variances = 2 / 16 * np.square(rotated).sum(axis=1)
        expected = variances.mean(axis=0)
        error = np.sqrt(2 * np.square(variances).sum(axis=0)) / len(variances)
        deviations += ((eigenvalues - expected) / error).ravel().tolist()
        traces += [eigenvalues.sum(), expected.sum()]
    assert len(deviations) == 30 + 8 + 8
    assert np.abs(deviations).max() < 4.5
    # Not smaller than chance has it either: the targets are really sampled.
    assert 0.4 < np.square(deviations).mean() < 1.8
    # 2400 examples with tens of directions each.
    assert traces[0] == pytest.approx(traces[1], rel=0.03)


def test_the_eigenvalues_do_not_see_the_targets_that_made_the_basis():
    """One example per image: its own target would leave all but three directions of G at zero."""
    net = Net(only=nn.Linear(16, 16))
    net.of = lambda x: net.only(x.flatten(1)).view_as(x)
    options = Curvature(n_timesteps=1, draws=1, approximation="expand")
    ekfac = EkFac.fit(net, small_images(3, 4), IDS, SCHEDULE, options, SEED)
    along_g = by_layer(ekfac)["only"][2].sum(axis=1)
    assert along_g.min() > 1e-3 * along_g.max()


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


@pytest.mark.parametrize("make", [network, attention_network, Awkward])
def test_the_basis_is_orthonormal_and_leaves_out_what_is_not_covered(make):
    net = make()
    ekfac = fit(net, images(3))
    for basis in ekfac.bases:
        for vectors in (basis.of_a, basis.of_g):
            # Rounded to float32.
            torch.testing.assert_close(
                vectors.T @ vectors, torch.eye(len(vectors)), atol=1e-5, rtol=0
            )
    covered = []
    modules = dict(net.named_modules())
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            module = modules[name.rpartition(".")[0]]
            plain = getattr(module, "groups", 1) == 1 and not isinstance(module, nn.GroupNorm)
            zeros = getattr(module, "padding_mode", "zeros") == "zeros"
            covered += [plain and zeros] * parameter.numel()
    covered = np.array(covered)
    assert 0 < covered.sum() < len(covered)
    generator = np.random.default_rng(0)
    one, other = generator.standard_normal((2, 4, len(covered)))
    coordinates = [ekfac(torch.tensor(x, dtype=torch.float32)).numpy() for x in (one, other)]
    assert coordinates[0].shape == (4, covered.sum())
    expected = (one * covered) @ (other * covered).T
    # Sums of so many float32 products.
    np.testing.assert_allclose(
        coordinates[0] @ coordinates[1].T, expected, atol=1e-4 * len(covered) ** 0.5
    )


def test_gradients_of_another_length_are_refused():
    ekfac = fit(DeepLinear(), small_images(3, 2))
    with pytest.raises(ValueError, match=r"gradients of 32 numbers, .* network's 31 trained"):
        ekfac(torch.zeros(1, 32))


def influences(ekfac):
    generator = np.random.default_rng(3)
    gradients = generator.standard_normal((4, ekfac.n_parameters)).astype(np.float32)
    coordinates = ekfac(torch.from_numpy(gradients)).double().numpy()
    eigenvalues = ekfac.eigenvalues.double().numpy()
    return coordinates / (eigenvalues + 0.01 * eigenvalues.max()) @ coordinates.T


@pytest.mark.parametrize(("setting", "bound"), [("expand", 1e-5), ("reduce", 1e-2)])
def test_batches_order_and_global_generators_have_no_say(setting, bound):
    """A of reduce is nearly singular behind a normalisation, and rounding picks vectors there."""
    net, order, options = network(), np.array([2, 0, 1]), {"setting": setting, "draws": 10}
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    whole = fit(net, images(3), **options)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    others = [
        fit(net.train(), images(3), batch_size=7, **options),
        fit(net, images(3), batch_size=1, **options),
        fit(net, images(3)[order], ids=IDS[order], batch_size=11, **options),
    ]
    expected = influences(whole)
    for other in others:
        assert other.eigenvalues.sum() == pytest.approx(float(whole.eigenvalues.sum()), rel=1e-5)
        assert np.abs(influences(other) - expected).max() < bound * np.abs(expected).max()
        if setting == "expand":
            moved = (whole.eigenvalues - other.eigenvalues).abs().max()
            assert moved < bound * whole.eigenvalues.max()
    again = fit(net, images(3), **options)
    assert torch.equal(again.eigenvalues, whole.eigenvalues)


def test_seed_image_and_draws_key_the_noise():
    whole = fit(network(), images(3))
    for changes in ({"seed": 5}, {"ids": IDS + 1}, {"draws": 3}):
        moved = (fit(network(), images(3), **changes).eigenvalues - whole.eigenvalues).abs().max()
        assert moved > 1e-2 * whole.eigenvalues.max()


def test_a_file_gives_back_what_was_written(tmp_path):
    net = network()
    ekfac = fit(net, images(3))
    ekfac.write(tmp_path / "a.zarr.zip", {"model": "abc"})
    read = EkFac.read(tmp_path / "a.zarr.zip", network())
    assert read.layers == ekfac.layers
    gradients = torch.ones(2, ekfac.n_parameters)
    assert torch.equal(read(gradients), ekfac(gradients))
    assert torch.equal(read.eigenvalues, ekfac.eigenvalues)
    assert read_arrays(tmp_path / "a.zarr.zip").attribute("identity") == {"model": "abc"}


@pytest.mark.parametrize("make", [attention_network, DeepLinear])
def test_a_file_of_another_network_is_refused(tmp_path, make):
    path = tmp_path / "a.zarr.zip"
    fit(network(), images(3)).write(path, {})
    with pytest.raises(ArtifactError, match=r"a\.zarr\.zip: .*snakemake --force"):
        EkFac.read(path, make())
    if make is attention_network:
        fit(make(), images(3)).write(path, {})
        with pytest.raises(ArtifactError, match=r"a\.zarr\.zip: .*snakemake --force"):
            EkFac.read(path, network())


def test_a_file_with_a_layer_too_many_or_doubles_is_refused(tmp_path):
    net, path = DeepLinear(), tmp_path / "a.zarr.zip"
    fit(net, small_images(3, 2)).write(path, {})
    arrays = dict(read_arrays(path).arrays)
    write_arrays(path, {**arrays, "third:A": np.zeros((2, 2), np.float32)}, {})
    with pytest.raises(ArtifactError, match=r"third:A is float32 \(2, 2\), .* no such layer"):
        EkFac.read(path, net)
    write_arrays(path, {**arrays, "first:A": arrays["first:A"].astype(float)}, {})
    with pytest.raises(
        ArtifactError, match=r"first:A is float64 .* the network has float32 \(5, 5\)"
    ):
        EkFac.read(path, net)


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
