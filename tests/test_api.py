"""Scores of a loaded pipeline, against TRAK's formula with gradients by float64 autograd."""

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from tiny import images, network

from diffattr import rng
from diffattr.api import attribute_images
from diffattr.attribution.lambda_rule import RULE
from diffattr.config import ConfigError

SEED = 4


def pipeline(**scheduler):
    return DDPMPipeline(unet=network(), scheduler=DDPMScheduler(**scheduler))


def loss(predicted, noise):
    return (predicted - noise).square().mean()


def differentiated(images, f):
    """Return f, and its gradient, of each image at two timesteps, under noise common to all."""
    double = network().double()
    abar = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    values, gradients = [], []
    for image in images:
        for t in (0, 500):
            noise = rng.Stream(SEED, "features").normal(0, t, 0, (1, 8, 8)).astype(np.float64)
            x = np.sqrt(abar[t]) * image + np.sqrt(1 - abar[t]) * noise
            predicted = double(torch.from_numpy(x[None]), torch.tensor([t])).sample
            value = f(predicted, torch.from_numpy(noise))
            found = torch.autograd.grad(value, list(double.parameters()))
            values.append(value.item())
            gradients.append(torch.cat([g.flatten() for g in found]).numpy())
    return np.reshape(values, (-1, 2)), np.stack(gradients).reshape(len(images), 2, -1)


@pytest.mark.parametrize(
    ("method", "f"), [("trak", loss), ("d-trak", lambda predicted, _: predicted.square().mean())]
)
def test_scores_are_those_of_the_formula(method, f):
    train, queries = images(4), images(6)[4:]
    found = attribute_images(
        pipeline(), train, queries, method=method, lam=0.3, n_timesteps=2, k=None, seed=SEED
    )
    phi, psi = (differentiated(side, f)[1].mean(axis=1) for side in (train, queries))
    ridge = 0.3 * np.square(phi).sum(1).mean()
    # psi (phi' phi + ridge)^-1 phi', by the push-through identity.
    expected = psi @ phi.T @ np.linalg.inv(phi @ phi.T + ridge * np.eye(4))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_das_weights_training_images_by_residual_and_leverage():
    train, queries = images(4), images(6)[4:]
    found = attribute_images(
        pipeline(), train, queries, method="das", lam=0.3, n_timesteps=2, k=None, seed=SEED
    )

    def unit_gradients(side):
        gradients = differentiated(side, lambda predicted, _: predicted.mean())[1]
        return (gradients / np.linalg.norm(gradients, axis=2, keepdims=True)).mean(axis=1)

    phi, psi = unit_gradients(train), unit_gradients(queries)
    inverse = np.linalg.inv(phi @ phi.T + 0.3 * np.square(phi).sum(1).mean() * np.eye(4))
    roots = np.sqrt(differentiated(train, loss)[0])
    residuals = (roots / np.linalg.norm(roots, axis=1, keepdims=True)).mean(axis=1)
    leverages = np.diag(phi @ phi.T @ inverse)
    expected = psi @ phi.T @ inverse * residuals / (1 - leverages)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_tensors_and_arrays_give_the_same_and_a_copy_is_its_own_first_proponent():
    train = images(5)
    options = {"method": "d-trak", "lam": "rule", "n_timesteps": 2, "k": 256}
    found = attribute_images(pipeline(), torch.from_numpy(train), train[[3]], **options)
    assert found.shape == (1, 5)
    assert found[0].argmax() == 3
    np.testing.assert_array_equal(found, attribute_images(pipeline(), train, train[[3]], **options))
    named = {**options, "lam": RULE["d-trak"]}
    np.testing.assert_array_equal(found, attribute_images(pipeline(), train, train[[3]], **named))


def test_a_method_without_lambda_takes_none():
    found = attribute_images(
        pipeline(), images(3), images(2), method="gradient-cosine", n_timesteps=2
    )
    np.testing.assert_allclose(found[[0, 1], [0, 1]], 1, atol=1e-6)  # the same images, common noise


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lam": None}, "lambda: found None; d-trak needs a positive number"),
        ({"lam": -1.0}, "lambda: found -1.0"),
        ({"method": "datamodel"}, "method: datamodel does not work from gradients"),
        ({"method": "gas"}, "method: gas does not work from gradients"),
        ({"method": "journey-trak"}, "method: journey-trak follows the sampler"),
        (
            {"train": images(2)[:, :, :4]},
            r"train: found shape \(2, 1, 4, 8\), expected \(image, 1, 8",
        ),
        (
            {"train": images(2) * 128},
            r"train: values from .* expected \[-1, 1\]; the pixels of files",
        ),
        ({"queries": np.zeros((1, 1, 8, 8), int)}, "queries: found int64"),
        (
            {"pipeline": object()},
            "found object with unet NoneType, expected",
        ),
        ({"method": "relative-influence", "lam": "rule"}, "no rule for relative-influence, only"),
        ({"train_prompts": ["a", "b"]}, "train: prompts were given, but this pipeline takes none"),
        (
            {"pipeline": pipeline(prediction_type="v_prediction")},
            "its scheduler predicts v_prediction, expected epsilon",
        ),
        ({"pipeline": pipeline(beta_schedule="sigmoid")}, "the schedule sigmoid; expected one of"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes, message):
    given = {"pipeline": pipeline(), "train": images(2), "queries": images(1)}
    given |= {"method": "d-trak", "lam": 0.1, **changes}
    with pytest.raises(ConfigError, match=message) as caught:
        attribute_images(given.pop("pipeline"), given.pop("train"), given.pop("queries"), **given)
    assert "\n" not in str(caught.value)


def test_a_network_of_another_kind_is_named():
    class Conditional(UNet2DModel):
        pass

    found = pipeline()
    found.unet.__class__ = Conditional
    with pytest.raises(ConfigError, match="with unet Conditional"):
        attribute_images(found, images(2), images(1), method="d-trak", lam=0.1)
