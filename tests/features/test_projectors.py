"""Projectors against their explicit matrices."""

import numpy as np
import pytest
import scipy.stats
import torch

from diffattr.config import ConfigError, Projector
from diffattr.features.projectors import PROJECTORS, check, make

P = 3000
RANDOM = [
    Projector(kind="sjlt", k=24),
    Projector(kind="sjlt", k=24, nonzeros=3),
    Projector(kind="normal", k=24),
    Projector(kind="rademacher", k=24),
]
IDS = ["sjlt", "sjlt-3", "normal", "rademacher"]


def matrix(config, p=P):
    """The map as a matrix (p, k): the images of the unit vectors."""
    return make(config, p)(torch.eye(p)).numpy()


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_a_projection_is_a_product_with_the_matrix(config):
    gradients = np.random.default_rng(0).standard_normal((5, P)).astype(np.float32)
    found = make(config, P)(torch.tensor(gradients)).numpy()
    expected = gradients.astype(np.float64) @ matrix(config).astype(np.float64)
    # float32 sums of up to 3000 terms of size 1/sqrt(24).
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_rows_are_projected_independently(config):
    gradients = torch.randn(4, P, generator=torch.Generator().manual_seed(0))
    projector = make(config, P)
    together = projector(gradients)
    for row in range(4):
        # A float32 product of another shape sums 3000 terms in another order.
        alone = projector(gradients[row : row + 1])[0]
        torch.testing.assert_close(alone, together[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_the_map_is_a_function_of_its_config(config):
    np.testing.assert_array_equal(matrix(config), matrix(config))
    other = Projector(kind=config.kind, k=config.k, nonzeros=config.nonzeros, seed=1)
    assert not np.allclose(matrix(config), matrix(other))
    assert make(config, P).identity() != make(other, P).identity()


@pytest.mark.parametrize("nonzeros", [1, 2, 4])
def test_sjlt_adds_each_coordinate_to_one_output_of_every_block(nonzeros):
    k = 32
    found = matrix(Projector(kind="sjlt", k=k, nonzeros=nonzeros))
    blocks = found.reshape(P, nonzeros, k // nonzeros)
    assert ((blocks != 0).sum(axis=2) == 1).all()
    np.testing.assert_allclose(np.abs(found[found != 0]), nonzeros**-0.5, rtol=1e-6)
    # Outputs and signs are uniform; a seed that fails by chance fails once in a thousand.
    counts = (found != 0).sum(axis=0)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    assert scipy.stats.binomtest(int((found > 0).sum()), P * nonzeros).pvalue > 1e-3


def test_dense_entries_have_their_distribution():
    scale = 24**0.5
    rademacher = matrix(Projector(kind="rademacher", k=24)) * scale
    np.testing.assert_allclose(np.abs(rademacher), 1, rtol=1e-5)
    assert scipy.stats.binomtest(int((rademacher > 0).sum()), rademacher.size).pvalue > 1e-3
    normal = matrix(Projector(kind="normal", k=24)).ravel() * scale
    assert scipy.stats.kstest(normal, "norm").pvalue > 1e-3
    # No two outputs are copies of one another.
    correlations = np.corrcoef(rademacher.T) - np.eye(24)
    assert np.abs(correlations).max() < 5 / P**0.5


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_inner_products_are_kept_on_average(config):
    generator = np.random.default_rng(1)
    first, second = generator.standard_normal((2, 400)).astype(np.float32)
    second += 0.5 * first
    pair = torch.tensor(np.stack([first, second]))
    products, lengths = [], []
    for seed in range(200):
        seeded = Projector(kind=config.kind, k=config.k, nonzeros=config.nonzeros, seed=seed)
        x, y = make(seeded, 400)(pair).double().numpy()
        products.append(x @ y)
        lengths.append(x @ x)
    for found, exact in ((products, first @ second), (lengths, first @ first)):
        error = abs(np.mean(found) - exact)
        assert error <= 4 * np.std(found, ddof=1) / len(found) ** 0.5


def test_no_projector_keeps_every_parameter():
    gradients = torch.randn(2, 7)
    projector = make(Projector(kind="none"), 7)
    assert torch.equal(projector(gradients), gradients)
    assert projector.identity() == {"kind": "none", "k": 7}


def test_identities_name_kind_k_and_seed():
    for config in RANDOM:
        identity = make(config, P).identity()
        assert (identity["kind"], identity["k"], identity["seed"]) == (config.kind, config.k, 0)
    assert make(RANDOM[1], P).identity()["nonzeros"] == 3


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (Projector(kind="none", k=3), "k: found 3, but projector none keeps every parameter"),
        (Projector(kind="sjlt"), "k: this key is missing; projector sjlt needs it"),
        (
            Projector(kind="sjlt", k=10, nonzeros=3),
            "nonzeros: found 3, allowed: a divisor of k = 10",
        ),
        (Projector(kind="normal", k=10, nonzeros=2), "nonzeros: found 2, only projector sjlt"),
        (Projector(kind="fast-jl", k=100), "k: found 100, allowed: multiples of 512"),
    ],
)
def test_impossible_projectors_are_refused(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check(config)


def test_more_outputs_than_parameters_are_refused():
    with pytest.raises(ConfigError, match="k: found 11, allowed: at most 10, the number of param"):
        make(Projector(kind="sjlt", k=11), 10)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells of a machine without a card")
def test_fast_jl_without_a_card_names_the_way_out():
    assert "fast-jl" in PROJECTORS
    with pytest.raises(ConfigError, match=r"runs on CUDA only.*use\s+sjlt"):
        make(Projector(kind="fast-jl", k=512), 1000)
