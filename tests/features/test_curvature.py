"""EK-FAC against exact GGNs, its basis, and what its numbers depend on."""

import math

import numpy as np
import pytest
import torch
from fitted_curvature import (
    IDS,
    SEED,
    SETTINGS,
    Awkward,
    DeepLinear,
    Mixed,
    Net,
    attention_network,
    by_layer,
    fit,
    jacobians,
    small_images,
)
from tiny import SCHEDULE, images, network
from torch import nn

from diffattr import rng
from diffattr.config import Curvature
from diffattr.features import curvature
from diffattr.features.curvature import EkFac


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
