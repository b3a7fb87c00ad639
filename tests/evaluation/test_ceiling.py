"""The noise ceiling against simulated measurements whose reliability is known."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from diffattr.evaluation.ceiling import noise_ceiling, seed_correlations
from diffattr.evaluation.lds import lds

N_SUBSETS, N_QUERIES = 1000, 12
# Standard error of a mean of 12 Spearman correlations over 1000 subsets.
STANDARD_ERROR = 1 / math.sqrt(N_SUBSETS * N_QUERIES)


def simulated(n_seeds, reliability, seed=0):
    """Return a signal and measurements of it, whose seeds have `reliability` as Pearson's r."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=(N_SUBSETS, N_QUERIES))
    noise = generator.normal(size=(n_seeds, N_SUBSETS, N_QUERIES))
    return signal, signal + math.sqrt(1 / reliability - 1) * noise


def spearman_of_normals(pearson):
    """Pearson (1907): Spearman's correlation of a bivariate normal."""
    return 6 / math.pi * math.asin(pearson / 2)


def test_seed_correlations_are_the_mean_over_pairs_of_seeds():
    values = np.random.default_rng(1).normal(size=(3, 9, 4)).round(1)
    found = seed_correlations(values)
    for query in range(4):
        pairs = itertools.combinations(range(3), 2)
        expected = np.mean(
            [stats.spearmanr(values[a, :, query], values[b, :, query]).statistic for a, b in pairs]
        )
        assert found[query] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_the_bound_and_the_repeat_follow_spearman_and_brown(n_seeds):
    values = np.random.default_rng(2).normal(size=(8, 3)) + 0.7 * np.random.default_rng(3).normal(
        size=(n_seeds, 8, 3)
    )
    pairs = list(itertools.combinations(values, 2))
    r = np.mean([stats.spearmanr(a[:, q], b[:, q]).statistic for a, b in pairs for q in range(3)])
    found = noise_ceiling(values)
    # Reliability of a sum of n parallel tests from the variances of sums: signal n^2 r, noise
    # n (1 - r).
    signal, noise = n_seeds**2 * r, n_seeds * (1 - r)
    assert found.n_seeds == n_seeds
    assert found.repeat == pytest.approx(r)
    reliability = signal / (signal + noise)
    assert found.bound == pytest.approx(math.sqrt(reliability))
    assert found.one_more_retraining == pytest.approx(math.sqrt(reliability * r))


@pytest.mark.parametrize("reliability", [0.1, 0.36, 0.8])
@pytest.mark.parametrize("n_seeds", [2, 4])
def test_the_repeat_is_the_correlation_of_two_seeds(n_seeds, reliability):
    _, values = simulated(n_seeds, reliability)
    found = noise_ceiling(values).repeat
    assert abs(found - spearman_of_normals(reliability)) < 4 * STANDARD_ERROR


@pytest.mark.parametrize("reliability", [0.1, 0.36, 0.8])
@pytest.mark.parametrize("n_seeds", [2, 4])
def test_a_predictor_without_noise_reaches_the_bound(n_seeds, reliability):
    signal, values = simulated(n_seeds, reliability)
    reached = lds(-signal, values.mean(axis=0)).mean()
    bound = noise_ceiling(values).bound
    # 0.009: Spearman-Brown is exact for Pearson's correlation and bent by ranks, by 0.0083 at most
    # in these six cases; and an error e of the repeat moves the bound by about e / bound.
    assert abs(reached - bound) < 0.009 + 4 * STANDARD_ERROR / bound


@pytest.mark.parametrize("reliability", [0.1, 0.36, 0.8])
def test_the_repeat_is_no_ceiling_a_good_predictor_passes_it(reliability):
    signal, values = simulated(2, reliability)
    ceiling = noise_ceiling(values)
    reached = lds(-signal, values.mean(axis=0)).mean()
    assert max(ceiling.repeat, ceiling.one_more_retraining) < reached


@pytest.mark.parametrize("reliability", [0.1, 0.36, 0.8])
@pytest.mark.parametrize("n_seeds", [2, 4])
def test_one_more_retraining_is_what_an_extra_seed_achieves(n_seeds, reliability):
    _, values = simulated(n_seeds + 1, reliability)
    reached = lds(-values[-1], values[:-1].mean(axis=0)).mean()
    expected = noise_ceiling(values[:-1]).one_more_retraining
    # 0.003: the bend of ranks, as above. Both sides are estimates, so their errors add.
    assert abs(reached - expected) < 0.003 + 4 * 2 * STANDARD_ERROR


def test_more_seeds_raise_the_bound_as_spearman_and_brown_say():
    _, values = simulated(6, 0.3)
    repeat = spearman_of_normals(0.3)
    for n in (2, 3, 6):
        expected = math.sqrt(n * repeat / (1 + (n - 1) * repeat))
        # An error e of the repeat moves the bound by less than e.
        assert abs(noise_ceiling(values[:n]).bound - expected) < 4 * STANDARD_ERROR


def test_one_seed_leaves_the_ceiling_unknown():
    assert noise_ceiling(np.random.default_rng(0).normal(size=(1, 5, 3))) is None


def test_seeds_that_agree_have_the_ceiling_one():
    values = np.random.default_rng(0).normal(size=(1, 9, 3)).repeat(3, axis=0)
    ceiling = noise_ceiling(values)
    for value in (ceiling.repeat, ceiling.bound, ceiling.one_more_retraining):
        assert value == pytest.approx(1)


def test_seeds_that_disagree_leave_nothing_to_reach():
    values = np.random.default_rng(0).normal(size=(9, 3))
    ceiling = noise_ceiling(np.stack([values, -values]))
    assert ceiling.repeat == pytest.approx(-1)
    assert ceiling.bound == ceiling.one_more_retraining == 0
