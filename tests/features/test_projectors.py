"""Projectors against their explicit matrices."""

import sys
import types

import numpy as np
import pytest
import scipy.stats
import torch

from diffattr.config import ConfigError, ProjectorOptions
from diffattr.features.projectors import PROJECTORS, check, make

P = 3000
RANDOM = [
    ProjectorOptions(kind="sjlt", k=24),
    ProjectorOptions(kind="sjlt", k=24, nonzeros=3),
    ProjectorOptions(kind="normal", k=24),
    ProjectorOptions(kind="rademacher", k=24),
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
    other = ProjectorOptions(kind=config.kind, k=config.k, nonzeros=config.nonzeros, seed=1)
    assert not np.allclose(matrix(config), matrix(other))
    assert make(config, P).identity() != make(other, P).identity()


@pytest.mark.parametrize("nonzeros", [1, 2, 4])
def test_sjlt_adds_each_coordinate_to_one_output_of_every_block(nonzeros):
    k = 32
    found = matrix(ProjectorOptions(kind="sjlt", k=k, nonzeros=nonzeros))
    blocks = found.reshape(P, nonzeros, k // nonzeros)
    assert ((blocks != 0).sum(axis=2) == 1).all()
    np.testing.assert_allclose(np.abs(found[found != 0]), nonzeros**-0.5, rtol=1e-6)
    # Outputs and signs are uniform; a seed that fails by chance fails once in a thousand.
    counts = (found != 0).sum(axis=0)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    assert scipy.stats.binomtest(int((found > 0).sum()), P * nonzeros).pvalue > 1e-3


@pytest.mark.parametrize("nonzeros", [1, 2, 4])
def test_sjlt_s_outputs_and_signs_are_independent_of_one_another(nonzeros):
    """Within a coordinate, between its blocks, and between neighbouring coordinates."""
    width = 8
    found = matrix(ProjectorOptions(kind="sjlt", k=width * nonzeros, nonzeros=nonzeros))
    blocks = found.reshape(P, nonzeros, width)
    outputs = np.abs(blocks).argmax(axis=2)
    cells = 2 * outputs + (blocks.sum(axis=2) > 0)
    pairs = [(cells[:-1, 0], cells[1:, 0]), (outputs[:, 0], cells[:, 0] % 2)]
    pairs += [(cells[:, 0], cells[:, block]) for block in range(1, nonzeros)]
    for first, second in pairs:
        table = np.zeros((2 * width, 2 * width))
        np.add.at(table, (first, second), 1)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        # A seed that fails by chance fails once in a thousand.
        assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_two_seeds_have_independent_maps(config):
    other = ProjectorOptions(kind=config.kind, k=config.k, nonzeros=config.nonzeros, seed=1)
    first, second = matrix(config).ravel(), matrix(other).ravel()
    # Of independent entries with mean 0, the correlation has a standard error of 1/sqrt(n).
    correlation = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert abs(correlation) < 4 / first.size**0.5


@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_projecting_is_linear(config):
    x, y = torch.randn(2, 3, P, generator=torch.Generator().manual_seed(2))
    project = make(config, P)
    # float32 sums of 3000 terms in another order.
    torch.testing.assert_close(
        project(2.5 * x - y), 2.5 * project(x) - project(y), rtol=1e-4, atol=1e-3
    )
    assert not project(torch.zeros(1, P)).any()


@pytest.mark.parametrize("p", [24, 1023, 1024, 1025, 2048])
@pytest.mark.parametrize("config", RANDOM, ids=IDS)
def test_a_coordinate_s_part_of_the_map_does_not_depend_on_the_length(config, p):
    """Lengths on both sides of the dense projectors' blocks; 24 is the least for k = 24."""
    # One nonzero product per output, hence exact.
    np.testing.assert_array_equal(matrix(config, p), matrix(config)[:p])


def test_no_coordinate_of_a_dense_map_repeats_an_earlier_block():
    for kind in ("normal", "rademacher"):
        found = matrix(ProjectorOptions(kind=kind, k=24))
        correlation = (found[:1024] * found[1024:2048]).sum() / (found[:1024] ** 2).sum()
        # As above.
        assert abs(correlation) < 4 / (1024 * 24) ** 0.5


def test_dense_entries_have_their_distribution():
    scale = 24**0.5
    rademacher = matrix(ProjectorOptions(kind="rademacher", k=24)) * scale
    np.testing.assert_allclose(np.abs(rademacher), 1, rtol=1e-5)
    assert scipy.stats.binomtest(int((rademacher > 0).sum()), rademacher.size).pvalue > 1e-3
    normal = matrix(ProjectorOptions(kind="normal", k=24)).ravel() * scale
    # Four standard errors of the mean, the variance and the fourth moment of N(0, 1).
    n = normal.size
    assert abs(normal.mean()) < 4 / n**0.5
    assert abs((normal**2).mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs((normal**4).mean() - 3) < 4 * (96 / n) ** 0.5
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
        seeded = ProjectorOptions(kind=config.kind, k=config.k, nonzeros=config.nonzeros, seed=seed)
        x, y = make(seeded, 400)(pair).double().numpy()
        products.append(x @ y)
        lengths.append(x @ x)
    for found, exact in ((products, first @ second), (lengths, first @ first)):
        error = abs(np.mean(found) - exact)
        assert error <= 4 * np.std(found, ddof=1) / len(found) ** 0.5
    # The variance is known: of N(0, 1) entries (|x|^2 |y|^2 + (x y)^2)/k; signs, dense or sparse,
    # lack a part from the fourth moments.
    squares = first.astype(float) ** 2, second.astype(float) ** 2
    variance = squares[0].sum() * squares[1].sum() + (first @ second) ** 2
    if config.kind != "normal":
        variance -= 2 * squares[0] @ squares[1]
    # Four standard errors of the variance of 200 nearly normal numbers: 4 sqrt(2/199) = 0.4.
    assert np.var(products, ddof=1) == pytest.approx(variance / config.k, rel=0.4)


def test_no_projector_keeps_every_parameter():
    gradients = torch.randn(2, 7)
    projector = make(ProjectorOptions(kind="none"), 7)
    assert torch.equal(projector(gradients), gradients)
    assert projector.identity() == {"kind": "none", "k": 7}


def test_identities_name_kind_k_and_seed():
    for config in RANDOM:
        identity = make(config, P).identity()
        assert (identity["kind"], identity["k"], identity["seed"]) == (config.kind, config.k, 0)
    assert make(RANDOM[1], P).identity()["nonzeros"] == 3
    identities = [make(config, P).identity() for config in RANDOM]
    assert len({str(identity) for identity in identities}) == len(RANDOM)


def test_the_registry_names_every_projector_by_its_kind():
    for kind in PROJECTORS.keys() - {"fast-jl"}:
        k = None if kind == "none" else 8
        assert make(ProjectorOptions(kind=kind, k=k), 50).identity()["kind"] == kind


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            ProjectorOptions(kind="none", k=3),
            "k: found 3, but projector none keeps every parameter",
        ),
        (ProjectorOptions(kind="sjlt"), "k: this key is missing; projector sjlt needs it"),
        (
            ProjectorOptions(kind="sjlt", k=10, nonzeros=3),
            "nonzeros: found 3, allowed: a divisor of k = 10",
        ),
        (
            ProjectorOptions(kind="normal", k=10, nonzeros=2),
            "nonzeros: found 2, only projector sjlt",
        ),
        (ProjectorOptions(kind="fast-jl", k=100), "k: found 100, allowed: multiples of 512"),
    ],
)
def test_impossible_projectors_are_refused(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check(config)


@pytest.mark.parametrize("kind", ["sjlt", "normal", "rademacher"])
def test_more_outputs_than_parameters_are_refused(kind):
    with pytest.raises(ConfigError, match="k: found 11, allowed: at most 10, the number of param"):
        make(ProjectorOptions(kind=kind, k=11), 10)
    assert make(ProjectorOptions(kind=kind, k=10), 10)(torch.ones(1, 10)).shape == (1, 10)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells of a machine without a card")
def test_fast_jl_without_a_card_names_the_way_out():
    assert "fast-jl" in PROJECTORS
    with pytest.raises(ConfigError, match=r"runs on CUDA only.*use\s+sjlt"):
        make(ProjectorOptions(kind="fast-jl", k=512), 1000)


KERNEL_MATRIX = np.random.default_rng(3).choice([-1.0, 1.0], (700, 512))


@pytest.fixture
def kernel_calls(monkeypatch):
    """A machine with a card, and a kernel like fast_jl's: 32 rows, taken as fp16, not scaled.

    It stands for the kernel's contract as MadryLab/trak uses it, not for the kernel.
    """
    calls = []

    def project_rademacher_32(rows, k, seed, n_multiprocessors):
        calls.append((tuple(rows.shape), k, seed, n_multiprocessors))
        half = rows.half().double().numpy()
        assert np.isfinite(half).all()
        return torch.tensor(half @ KERNEL_MATRIX, dtype=torch.float32)

    kernel = types.SimpleNamespace(project_rademacher_32=project_rademacher_32)
    monkeypatch.setitem(sys.modules, "fast_jl", kernel)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    card = types.SimpleNamespace(multi_processor_count=77)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    return calls


@pytest.mark.parametrize("n", [1, 31, 32])
def test_fast_jl_keeps_the_scale_of_gradients_that_fp16_cannot_hold(kernel_calls, n):
    project = make(ProjectorOptions(kind="fast-jl", k=512, seed=9), 700, "cuda")
    gradients = np.random.default_rng(4).standard_normal((n, 700))
    gradients *= np.logspace(-12, 7, n)[:, None]
    gradients[n // 2] = 0
    found = project(torch.tensor(gradients, dtype=torch.float32)).numpy()
    assert kernel_calls == [((32, 700), 512, 9, 77)]
    expected = gradients @ KERNEL_MATRIX / 512**0.5
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True) + 1e-30
    # fp16 keeps 11 bits; the errors of 700 terms are independent.
    np.testing.assert_allclose(found / lengths, expected / lengths, atol=1e-3)
    assert not found[n // 2].any()


@pytest.mark.usefixtures("kernel_calls")
def test_fast_jl_s_identity_tells_the_card():
    identity = make(ProjectorOptions(kind="fast-jl", k=512, seed=9), 700, "cuda").identity()
    assert identity == {"kind": "fast-jl", "k": 512, "seed": 9, "multiprocessors": 77}


@pytest.mark.usefixtures("kernel_calls")
def test_fast_jl_without_its_package_names_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_jl", None)
    with pytest.raises(ConfigError, match=r"needs the package fast_jl: pip install"):
        make(ProjectorOptions(kind="fast-jl", k=512), 700, "cuda")
