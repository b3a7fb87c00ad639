"""Output functions against closed forms."""

import numpy as np
import pytest
import torch

from diffattr.features.output_functions import OUTPUT_FUNCTIONS

GENERATOR = np.random.default_rng(0)
PREDICTION, NOISE = GENERATOR.standard_normal((2, 3, 2, 4, 4))

# Value and derivative by the prediction, per image of 32 pixels.
CLOSED_FORMS = {
    "loss": (
        lambda e, n: sum((a - b) ** 2 for a, b in zip(e.ravel(), n.ravel(), strict=True)) / 32,
        lambda e, n: 2 * (e - n) / 32,
    ),
    "mean-squared-l2-norm": (
        lambda e, n: sum(a**2 for a in e.ravel()) / 32,  # noqa: ARG005
        lambda e, n: 2 * e / 32,  # noqa: ARG005
    ),
}


def test_every_output_function_has_a_closed_form_here():
    assert CLOSED_FORMS.keys() == OUTPUT_FUNCTIONS.keys()


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_value_and_gradient_equal_the_closed_form(name):
    value, derivative = CLOSED_FORMS[name]
    prediction = torch.tensor(PREDICTION, requires_grad=True)
    found = OUTPUT_FUNCTIONS[name](prediction, torch.tensor(NOISE))
    assert found.shape == (3,)
    found.sum().backward()
    assert prediction.grad is not None
    for image in range(3):
        np.testing.assert_allclose(
            found[image].item(), value(PREDICTION[image], NOISE[image]), rtol=1e-12
        )
        np.testing.assert_allclose(
            prediction.grad[image].numpy(), derivative(PREDICTION[image], NOISE[image]), rtol=1e-12
        )
