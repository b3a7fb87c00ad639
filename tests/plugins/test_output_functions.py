"""Output functions from outside: gradients, measurements and refusals."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from changed_config import benchmark, raw

from diffattr.config import NoiseSchedule, Pass, ProjectorOptions
from diffattr.features.gradients import GradientPass
from diffattr.features.output_functions import Denoising, output_function
from diffattr.plugins import PluginError


class Linear(torch.nn.Module):
    """A network with four parameters, whose answer is one of them per place."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.25]).reshape(1, 1, 2, 2))

    def forward(self, x, t, return_dict=True):
        found = self.weight * x
        return SimpleNamespace(sample=found) if return_dict else (found,)


def features(name, **values):
    options = Pass(
        n_timesteps=3,
        noise="common",
        output_functions=(name,),
        projector=ProjectorOptions(kind="none"),
        **values,
    )
    schedule = msgspec.convert(raw()["noise_schedule"], NoiseSchedule)
    images = np.random.default_rng(0).normal(size=(2, 1, 2, 2)).astype(np.float32)
    taken = GradientPass(Linear(), schedule, options, 1)
    return taken.features(images, np.array([3, 5]), "val")[name]


@pytest.mark.parametrize("unit_gradients", [False, True])
def test_an_output_function_of_a_file_has_the_gradient_of_ours(write, unit_gradients):
    write("def f(denoising): return denoising.prediction.pow(2).flatten(1).mean(1)")
    found = features("my_module:f", unit_gradients=unit_gradients)
    assert found.any()
    expected = features("mean-squared-l2-norm", unit_gradients=unit_gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("unit_gradients", [False, True])
@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("d.prediction.mean()", r"returned shape \(\), \(\d,\) expected, one number per image"),
        ("d.prediction", r"returned shape \(\d, 1, 2, 2\), \(\d,\) expected"),
        ("3.0", "returned an object of type float, a tensor expected"),
        ("d.noise.flatten(1).mean(1)", "what it returns does not depend on the prediction"),
        (
            "(d.prediction * float('nan')).flatten(1).mean(1)",
            "its gradient has NaN or infinity for 2 of 2 images of split val",
        ),
    ],
)
def test_a_wrong_output_function_is_one_sentence(write, answered, words, unit_gradients):
    write(f"def f(d): return {answered}")
    with pytest.raises(PluginError, match=f"^plug-in my_module:f: {words}"):
        features("my_module:f", unit_gradients=unit_gradients)


def test_an_output_function_of_a_file_is_measured_by_naming_it(write):
    write("def f(denoising): return denoising.prediction.flatten(1).mean(1)")
    made = benchmark({"measurement.lds.also_measured": ["weighted-mse", "my_module:f"]})
    assert made.models.quantities("lds") == ["loss", "weighted-mse", "my_module:f"]
    assert made.models.evaluated("lds") == ["loss", "my_module:f"]
    zeros, weight = torch.zeros(3, 1, 2, 2), torch.ones(3)
    with torch.inference_mode():
        found = output_function("my_module:f")(Denoising(zeros + 2, zeros, weight))
    assert found.tolist() == [2, 2, 2]


def test_an_output_function_that_cannot_be_called_is_refused_before_anything_runs(write):
    write("f = 3")
    with pytest.raises(PluginError, match="found an object of type int; expected a function"):
        output_function("my_module:f")
