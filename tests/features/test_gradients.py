"""Features against per-sample gradients in float64."""

import copy

import msgspec
import numpy as np
import pytest
import torch
from tiny import MODEL, SCHEDULE, images, network
from torch.func import functional_call, grad, vmap

from diffattr import rng
from diffattr.config import Pass, ProjectorOptions
from diffattr.diffusion.models import build
from diffattr.features.gradients import GradientPass, batch_invariance, timestep_set
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.store import TIMESTEP_LOSSES

SEED = 4
IDS = np.array([12, 3, 700, 41])
OPTIONS = Pass(
    n_timesteps=5,
    noise="per-image",
    draws=2,
    output_functions=("loss", "mean-squared-l2-norm"),
    projector=ProjectorOptions(kind="none"),
)
BETA = np.linspace(0.0001, 0.02, 1000)
ABAR = np.cumprod(1 - BETA)
ELBO = BETA / (2 * (1 - BETA) * (1 - ABAR))


def gradient_pass(**changes):
    return GradientPass(network(), SCHEDULE, msgspec.structs.replace(OPTIONS, **changes), SEED)


def computed(batch_size=128, chosen=slice(None), split="val", **changes):
    return gradient_pass(**changes).features(
        images(4)[chosen], IDS[chosen], split, batch_size=batch_size
    )


VALUES = {
    "loss": lambda e, n, w: ((e - n) ** 2).mean(),
    "weighted-mse": lambda e, n, w: w * ((e - n) ** 2).mean(),
    "mean-squared-l2-norm": lambda e, n, w: (e**2).mean(),
    "mean": lambda e, n, w: e.mean(),
    "l1-norm": lambda e, n, w: e.abs().sum(),
    "l2-norm": lambda e, n, w: (e**2).sum().sqrt(),
    "linf-norm": lambda e, n, w: e.abs().max(),
    "l1-norm-rescaled": lambda e, n, w: e.abs().sum() / 64,
    "l2-norm-rescaled": lambda e, n, w: (e**2).sum().sqrt() / 8,
}


def by_hand(name, noise_kind, draws, timesteps=(0, 200, 400, 600, 800), split="val", unit=False):
    """The mean over timesteps and draws of vmapped per-sample gradients, in float64."""
    double = copy.deepcopy(network()).double()
    weights = {key: p.detach() for key, p in double.named_parameters()}

    def value(weights, x, noise, t, elbo_weight):
        prediction = functional_call(double, weights, (x[None], t[None])).sample[0]
        return VALUES[name](prediction, noise, elbo_weight)

    rows = []
    for image, image_id in zip(images(4), IDS, strict=True):
        inputs, noises, ts = [], [], []
        for t in timesteps:
            for draw in range(draws):
                if noise_kind == "common":
                    noise = rng.Stream(SEED, "features").normal(0, t, draw, (1, 8, 8))
                else:
                    stream = rng.Stream(SEED, "features", split)
                    noise = stream.normal(int(image_id), t, draw, (1, 8, 8))
                inputs.append(np.sqrt(ABAR[t]) * image + np.sqrt(1 - ABAR[t]) * noise)
                noises.append(noise)
                ts.append(t)
        x = torch.tensor(np.array(inputs), dtype=torch.float64)
        target = torch.tensor(np.array(noises), dtype=torch.float64)
        per_sample = vmap(grad(value), in_dims=(None, 0, 0, 0, 0))(
            weights, x, target, torch.tensor(ts), torch.tensor(ELBO[ts])
        )
        gradients = torch.cat([g.flatten(1) for g in per_sample.values()], dim=1).numpy()
        if unit:
            gradients = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
        rows.append(gradients.mean(axis=0))
    return np.stack(rows)


def relative_error(found, expected):
    error = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return error.max()


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("noise", ["per-image", "common"])
@pytest.mark.parametrize("name", OUTPUT_FUNCTIONS)
def test_a_feature_is_the_mean_of_per_sample_gradients(name, noise, draws):
    found = computed(noise=noise, draws=draws, output_functions=(name,))[name]
    assert found.dtype == np.float32
    # The bound that the project promises; float32 through the network gives about 1e-6, and the
    # ELBO's weight at t = 0 has few digits in float32.
    bound = 1e-5 if name != "weighted-mse" else 2e-3
    assert relative_error(found, by_hand(name, noise, draws)) <= bound


@pytest.mark.parametrize("batch_size", [3, 128])
@pytest.mark.parametrize("noise", ["per-image", "common"])
@pytest.mark.parametrize("name", OUTPUT_FUNCTIONS)
def test_a_feature_of_unit_gradients_averages_directions(name, noise, batch_size):
    found = computed(batch_size, noise=noise, output_functions=(name,), unit_gradients=True)[name]
    assert found.dtype == np.float32
    # As above; weights of timesteps have no say here.
    assert relative_error(found, by_hand(name, noise, 2, unit=True)) <= 1e-5


def test_unit_gradients_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    whole = computed(unit_gradients=True)
    monkeypatch.setattr("diffattr.features.gradients._LARGEST_JACOBIAN", 1)
    for name, rows in computed(unit_gradients=True).items():
        assert relative_error(rows, whole[name]) <= 1e-5


@pytest.mark.parametrize("unit_gradients", [False, True])
def test_a_network_without_gradient_has_a_feature_of_zero(unit_gradients):
    options = msgspec.structs.replace(OPTIONS, unit_gradients=unit_gradients)
    still = Linear()
    still.frozen.zero_()
    found = GradientPass(still, SCHEDULE, options, SEED).features(images(4), IDS, "val")
    for name in OPTIONS.output_functions:
        assert not found[name].any()


@pytest.mark.parametrize("unit_gradients", [False, True])
def test_the_losses_on_the_way_are_those_of_the_timesteps(unit_gradients):
    found = computed(unit_gradients=unit_gradients)[TIMESTEP_LOSSES]
    assert found.shape == (4, 5)
    for row, image, image_id in zip(found, images(4), IDS, strict=True):
        for loss, t in zip(row, (0, 200, 400, 600, 800), strict=True):
            errors = []
            for draw in (0, 1):
                noise = rng.Stream(SEED, "features", "val").normal(
                    int(image_id), t, draw, (1, 8, 8)
                )
                x = (np.sqrt(ABAR[t]) * image + np.sqrt(1 - ABAR[t]) * noise).astype(np.float32)
                with torch.no_grad():
                    prediction = network()(torch.tensor(x[None]), t).sample[0].numpy()
                errors.append(((prediction - noise) ** 2).mean())
            # float32 through the network.
            assert loss == pytest.approx(np.mean(errors), rel=1e-5)


@pytest.mark.parametrize("unit_gradients", [False, True])
def test_a_trajectory_of_one_image_has_that_image_s_features(unit_gradients):
    steps = timestep_set("uniform", 5, 1000).tolist()
    made = gradient_pass(draws=1, unit_gradients=unit_gradients)
    still = np.repeat(images(4)[:, None], len(steps), axis=1)
    found = made.features(still, IDS, "val", timesteps=steps, batch_size=2)
    for name, rows in made.features(images(4), IDS, "val", batch_size=2).items():
        np.testing.assert_array_equal(found[name], rows)


def test_each_step_of_a_trajectory_is_noised_to_its_own_timestep():
    made = gradient_pass(draws=1)
    trajectories = np.stack([images(4), images(4)[::-1]], axis=1)
    found = made.features(trajectories, IDS, "val", timesteps=[300, 20])
    singles = [
        made.features(trajectories[:, [step]], IDS, "val", timesteps=[t])
        for step, t in enumerate((300, 20))
    ]
    for name in OPTIONS.output_functions:
        # The gradient of a mean of two is the mean of their gradients, up to float32 rounding.
        expected = (singles[0][name] + singles[1][name]) / 2
        assert relative_error(found[name], expected) <= 1e-5


@pytest.mark.parametrize("name", OPTIONS.output_functions)
def test_a_feature_of_cumulative_timesteps_is_that_of_the_first_ones(name):
    found = computed(timesteps="cumulative", n_timesteps=3, noise="common")[name]
    # As above.
    assert relative_error(found, by_hand(name, "common", 2, timesteps=(0, 1, 2))) <= 1e-5


class Linear(torch.nn.Module):
    """Predicts W x_t, whatever t is; the gradient of both output functions can be written down."""

    def __init__(self):
        super().__init__()
        weights = np.random.default_rng(5).standard_normal((64, 64)) / 8
        self.weights = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))
        self.frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x, timesteps, return_dict):
        assert x.shape[:1] == timesteps.shape
        assert return_dict is False
        return ((self.frozen * x.flatten(1) @ self.weights.T).view_as(x),)


def test_a_linear_network_has_the_features_of_the_closed_form():
    """No autograd on this side: 2/64 (W x - e) x' and 2/64 W x x', mean over t and draw."""
    linear = Linear()
    found = GradientPass(linear, SCHEDULE, OPTIONS, SEED).features(images(4), IDS, "val")
    weights = linear.weights.detach().double().numpy()
    for number, (image, image_id) in enumerate(zip(images(4), IDS, strict=True)):
        expected = {name: np.zeros((64, 64)) for name in OPTIONS.output_functions}
        for t in (0, 200, 400, 600, 800):
            for draw in (0, 1):
                stream = rng.Stream(SEED, "features", "val")
                e = stream.normal(int(image_id), t, draw, (1, 8, 8)).ravel().astype(float)
                x = np.sqrt(ABAR[t]) * image.ravel() + np.sqrt(1 - ABAR[t]) * e
                expected["loss"] += np.outer(weights @ x - e, x) * 2 / 64 / 10
                expected["mean-squared-l2-norm"] += np.outer(weights @ x, x) * 2 / 64 / 10
        for name, gradient in expected.items():
            # float32 sums of ten terms; the frozen parameter has no place in the feature.
            assert found[name].shape == (4, 64 * 64)
            error = np.linalg.norm(found[name][number] - gradient.ravel())
            assert error <= 1e-5 * np.linalg.norm(gradient)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_the_batch_changes_rounding_only(batch_size):
    whole = computed()
    for name, rows in computed(batch_size).items():
        assert relative_error(rows, whole[name]) <= 1e-5


@pytest.mark.parametrize("chosen", [[3, 1, 0, 2], [2], [1, 2]], ids=["order", "one", "shard"])
def test_a_feature_does_not_depend_on_the_other_images(chosen):
    whole = computed()
    for name, rows in computed(chosen=chosen).items():
        np.testing.assert_array_equal(rows, whole[name][chosen])


def test_the_global_random_state_changes_nothing():
    torch.manual_seed(1)
    first = computed()
    torch.manual_seed(2)
    for name, rows in computed().items():
        np.testing.assert_array_equal(rows, first[name])


def test_the_training_mode_of_the_network_changes_nothing():
    config = {**MODEL.config, "dropout": 0.5}
    model = msgspec.structs.replace(MODEL, config=config)
    modes = [build(model, seed=1).train(mode) for mode in (True, False)]
    passes = [GradientPass(own, SCHEDULE, OPTIONS, SEED) for own in modes]
    first, second = (own.features(images(4), IDS, "val") for own in passes)
    for name, rows in first.items():
        np.testing.assert_array_equal(rows, second[name])


def test_ids_matter_unless_the_noise_is_common():
    def renamed(noise):
        return gradient_pass(noise=noise).features(images(4), IDS + 1, "val")

    for name, rows in computed(noise="common").items():
        np.testing.assert_array_equal(renamed("common")[name], rows)
    for name in OPTIONS.output_functions:
        assert relative_error(renamed("per-image")[name], computed()[name]) > 1e-2


@pytest.mark.parametrize("kind", ["none", "sjlt", "normal", "rademacher"])
def test_shards_put_together_are_the_whole(kind):
    projector = ProjectorOptions(kind=kind, k=None if kind == "none" else 16)
    whole = computed(projector=projector)
    parts = [computed(projector=projector, chosen=c) for c in ([0], [1, 2], [3])]
    for name, rows in whole.items():
        together = np.concatenate([part[name] for part in parts])
        # Dense projectors multiply as many rows as a shard has: another order of summation.
        assert relative_error(together, rows) <= 1e-5


def test_sharing_the_forward_pass_changes_nothing():
    together = computed()
    swapped = computed(output_functions=OPTIONS.output_functions[::-1])
    for name in OPTIONS.output_functions:
        np.testing.assert_array_equal(swapped[name], together[name])
        alone = computed(output_functions=(name,))
        # Rounding, should autograd sum in another order.
        assert relative_error(alone[name], together[name]) <= 1e-6


def test_splits_have_noise_of_their_own_unless_it_is_common():
    for name in OPTIONS.output_functions:
        assert relative_error(computed(split="train")[name], computed()[name]) > 1e-2
    for name, rows in computed(split="train", noise="common").items():
        np.testing.assert_array_equal(rows, computed(noise="common")[name])


def test_projecting_is_multiplying_with_the_projector_s_matrix():
    projector = ProjectorOptions(kind="sjlt", k=32)
    whole, small = computed(), gradient_pass(projector=projector)
    matrix = small.projector(torch.eye(whole["loss"].shape[1])).numpy()
    found = small.features(images(4), IDS, "val")
    for name in OPTIONS.output_functions:
        rows = found[name]
        # float32 sums of some thousand terms in another order.
        np.testing.assert_allclose(rows, whole[name] @ matrix, rtol=1e-3, atol=1e-5)


def test_dense_projectors_gather_rows_without_losing_any():
    rademacher = ProjectorOptions(kind="rademacher", k=8)
    small = gradient_pass(projector=rademacher)
    small.projector.rows = 3
    gathered = small.features(images(4), IDS, "val")
    one_by_one = gradient_pass(projector=rademacher)
    one_by_one.projector.rows = 1
    for name, rows in one_by_one.features(images(4), IDS, "val").items():
        np.testing.assert_allclose(gathered[name], rows, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 10, 50, 100, 1000])
def test_uniform_timesteps_are_d_trak_s_where_it_defines_them(n):
    assert timestep_set("uniform", n, 1000).tolist() == list(range(0, 1000, 1000 // n))
    assert timestep_set("cumulative", n, 1000).tolist() == list(range(n))


def test_every_number_of_timesteps_is_kept():
    for n in range(1, 101):
        found = timestep_set("uniform", n, 100)
        assert len(set(found.tolist())) == n
        assert found.max() < 100
    with pytest.raises(
        ValueError, match="found 101 timesteps, allowed: at most the schedule's 100"
    ):
        timestep_set("uniform", 101, 100)


def test_the_identity_tells_what_two_sides_must_share():
    first = gradient_pass().identity("abc")
    for changes in (
        {"n_timesteps": 4},
        {"draws": 1},
        {"noise": "common"},
        {"unit_gradients": True},
    ):
        assert gradient_pass(**changes).identity("abc") != first
    assert gradient_pass().identity("abd") != first
    assert gradient_pass(output_functions=("loss",)).identity("abc") == first


def test_the_invariance_check_sees_a_planted_difference():
    made = gradient_pass()
    stored = made.features(images(4), IDS, "val")
    result = batch_invariance(made, images(4), IDS, "val", stored)
    assert result["n_images"] == 4
    assert result["largest_relative_error"].keys() == stored.keys()
    # The bound that the project promises.
    assert max(result["largest_relative_error"].values()) < 1e-5
    stored["loss"][2] *= 1.01
    result = batch_invariance(made, images(4), IDS, "val", stored)
    # |x - 1.01 x| / |1.01 x|
    assert result["largest_relative_error"]["loss"] == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert result["largest_relative_error"]["mean-squared-l2-norm"] < 1e-5


def test_the_invariance_check_looks_at_the_first_images_and_sees_swapped_rows():
    made = gradient_pass()
    stored = made.features(images(4), IDS, "val")
    swapped = {name: rows[[1, 0, 2, 3]] for name, rows in stored.items()}
    result = batch_invariance(made, images(4), IDS, "val", swapped, n_images=2)
    assert result["n_images"] == 2
    assert min(result["largest_relative_error"].values()) > 1e-2
    stored["loss"][3] *= 2
    result = batch_invariance(made, images(4), IDS, "val", stored, n_images=3)
    assert max(result["largest_relative_error"].values()) < 1e-5
    assert batch_invariance(made, images(4), IDS, "val", stored, n_images=9)["n_images"] == 4
