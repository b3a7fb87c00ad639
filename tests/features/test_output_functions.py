"""Output functions against closed forms."""

import numpy as np
import pytest
import torch
from tiny import SCHEDULE

from diffattr.diffusion.noising import elbo_weights
from diffattr.features.output_functions import OUTPUT_FUNCTIONS, Denoising

GENERATOR = np.random.default_rng(0)
PREDICTION, NOISE = GENERATOR.standard_normal((2, 3, 2, 4, 4))
WEIGHT = np.array([0.5, 2.0, 7.0])
N = 32  # pixels of an image


def where_largest(e):
    return np.sign(e) * (np.abs(e) == np.abs(e).max())


# Value and derivative by the prediction e, given the noise n and the ELBO weight w of the timestep.
CLOSED_FORMS = {
    "loss": (lambda e, n, w: np.sum((e - n) ** 2) / N, lambda e, n, w: 2 * (e - n) / N),
    "weighted-mse": (
        lambda e, n, w: w * np.sum((e - n) ** 2) / N,
        lambda e, n, w: 2 * w * (e - n) / N,
    ),
    "mean-squared-l2-norm": (lambda e, n, w: np.sum(e**2) / N, lambda e, n, w: 2 * e / N),
    "mean": (lambda e, n, w: np.sum(e) / N, lambda e, n, w: np.ones_like(e) / N),
    "l1-norm": (lambda e, n, w: np.sum(np.abs(e)), lambda e, n, w: np.sign(e)),
    "l2-norm": (lambda e, n, w: np.linalg.norm(e), lambda e, n, w: e / np.linalg.norm(e)),
    "linf-norm": (lambda e, n, w: np.max(np.abs(e)), lambda e, n, w: where_largest(e)),
    "l1-norm-rescaled": (lambda e, n, w: np.mean(np.abs(e)), lambda e, n, w: np.sign(e) / N),
    "l2-norm-rescaled": (
        lambda e, n, w: np.sqrt(np.mean(e**2)),
        lambda e, n, w: e / np.linalg.norm(e) / np.sqrt(N),
    ),
}


def test_every_output_function_has_a_closed_form_here():
    assert CLOSED_FORMS.keys() == OUTPUT_FUNCTIONS.keys()


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_value_and_gradient_equal_the_closed_form(name):
    value, derivative = CLOSED_FORMS[name]
    prediction = torch.tensor(PREDICTION, requires_grad=True)
    found = OUTPUT_FUNCTIONS[name](Denoising(prediction, torch.tensor(NOISE), torch.tensor(WEIGHT)))
    assert found.shape == (3,)
    found.sum().backward()
    assert prediction.grad is not None
    for image, arguments in enumerate(
        (e.ravel(), n.ravel(), w) for e, n, w in zip(PREDICTION, NOISE, WEIGHT, strict=True)
    ):
        np.testing.assert_allclose(found[image].item(), value(*arguments), rtol=1e-12)
        np.testing.assert_allclose(
            prediction.grad[image].numpy().ravel(), derivative(*arguments), rtol=1e-12
        )


def test_elbo_weights_are_those_of_the_reference():
    """beta_t / (2 alpha_t (1 - abar_t)) of the linear schedule, in float64."""
    beta = np.linspace(0.0001, 0.02, 1000)
    expected = beta / (2 * (1 - beta) * (1 - np.cumprod(1 - beta)))
    # abar comes in float32: near t = 0, 1 - abar has few digits.
    np.testing.assert_allclose(elbo_weights(SCHEDULE).numpy(), expected, rtol=2e-3)
    np.testing.assert_allclose(elbo_weights(SCHEDULE).numpy()[50:], expected[50:], rtol=1e-4)
