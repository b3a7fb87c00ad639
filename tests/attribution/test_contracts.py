"""Every contract refuses a lambda that it does not have, and states its memory."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from diffattr.artifacts import write_array, write_arrays
from diffattr.attribution import METHODS
from diffattr.attribution.base import KernelMethod
from diffattr.attribution.kernel import Kernel
from diffattr.attribution.method import with_options
from diffattr.attribution.scores import MeanAttribution
from diffattr.config import ConfigError

N_TRAIN, N_QUERIES = 6, 2
SUBSETS = [np.arange(N_TRAIN)] * 3


def vectors(n):
    return np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)


def of_vectors(name):
    return METHODS[name].attribute(vectors(N_TRAIN), vectors(N_QUERIES))


def of_images(folder):
    inputs = SimpleNamespace(train=str(folder / "train.npy"), queries=str(folder / "queries.npy"))
    write_array(inputs.train, vectors(N_TRAIN).reshape(N_TRAIN, 1, 2, 2))
    write_array(inputs.queries, vectors(N_QUERIES).reshape(N_QUERIES, 1, 2, 2))
    schedule = {
        "n_timesteps": 1000,
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "beta_end": 0.02,
    }
    return METHODS["nda"].attribution({"noise_schedule": schedule}, inputs)


def of_retrained(folder):
    inputs = SimpleNamespace(
        measurements=str(folder / "measurements.zarr.zip"),
        subsets=[str(folder / f"{number}.npy") for number in range(4)],
        train=str(folder / "train.npy"),
    )
    write_arrays(inputs.measurements, {"measurements": np.ones((1, 4, N_QUERIES))}, {})
    write_array(inputs.train, np.arange(N_TRAIN))
    for path in inputs.subsets:
        write_array(path, np.arange(3)[None])
    return METHODS["empirical-influence"].attribution({"n_retrained": 4}, inputs)


def of_file(folder):
    names = ("file", "queries", "train")
    inputs = SimpleNamespace(**{name: str(folder / f"{name}.npy") for name in names})
    write_array(inputs.file, np.ones((N_QUERIES, N_TRAIN)))
    write_array(inputs.queries, np.arange(N_QUERIES))
    write_array(inputs.train, np.arange(N_TRAIN))
    return with_options(METHODS["file"], {"val": inputs.file}).attribution({}, inputs)


# By contract: the attribution, a lambda that it does not have, the sentence, one that it has.
NONE = "lambda: found 0.1, but the scores of this method have none"
PATH = "lambda: found none, but this method has a path; give a positive number"
LAMBDAS = {
    "similarity": (lambda _: of_vectors("gradient-dot"), 0.1, NONE, None),
    "kernel": (lambda _: of_vectors("trak"), None, PATH, 0.1),
    "fixed ridge": (
        lambda _: of_vectors("ekfac"),
        0.1,
        "lambda: found 0.1, but this method has the fixed ridge 1e-08; give none",
        None,
    ),
    "patches": (of_images, 0.1, NONE, None),
    "retraining": (of_retrained, 0.1, NONE, None),
    "file": (of_file, 0.1, NONE, None),
    "several models": (lambda _: MeanAttribution([of_vectors("trak")], [1.0]), None, PATH, 0.1),
}


@pytest.mark.parametrize("contract", LAMBDAS)
def test_a_lambda_that_a_method_does_not_have_is_refused_in_a_sentence(tmp_path, contract):
    make, wrong, sentence, right = LAMBDAS[contract]
    found = make(tmp_path)
    assert found.scores(right).shape == (N_QUERIES, N_TRAIN)
    assert found.predictions(SUBSETS, [right]).shape == (1, 3, N_QUERIES)
    for ask in (lambda: found.scores(wrong), lambda: found.predictions(SUBSETS, [right, wrong])):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value).startswith(sentence)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("n_train", "dim"), [(900, 200), (300, 700)])
@pytest.mark.parametrize("name", ["gradient-dot", "trak", "relative-influence"])
def test_scores_need_at_most_the_stated_memory_and_not_much_less(name, n_train, dim):
    generator, n_queries = np.random.default_rng(0), 400
    train, queries = (generator.normal(size=(n, dim)).astype("f4") for n in (n_train, n_queries))
    method, kernel = METHODS[name], Kernel.from_features(train)
    tracemalloc.start()
    given = train.copy(), queries.copy(), kernel.eigenvectors.copy()
    method.attribute(*given[:2], kernel=kernel).scores(0.1 if method.has_lambda else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found = method.work(n_train, n_queries, dim)
    peak -= 0 if isinstance(method, KernelMethod) else given[2].nbytes
    assert 0.4 * found.n_held < peak < found.n_held
