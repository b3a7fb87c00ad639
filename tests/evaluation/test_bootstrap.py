"""Bootstrap draws against a loop over scipy's Spearman, closed forms, and simulated coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from diffattr import rng
from diffattr.evaluation.bootstrap import interval, resampled

SEED, SPLIT = 3, "val"


def made_up(n_subsets=12, n_queries=6, noise=1.0, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(n_subsets, n_queries))
    predictions = -truth + noise * generator.normal(size=truth.shape)
    return predictions, truth


def spearman(first, second):
    if len(set(first)) == 1 or len(set(second)) == 1:
        return 0.0
    return stats.spearmanr(first, second).statistic


def drawn(number, n_subsets, n_queries):
    """The subsets and queries of one resample, drawn with their key."""
    generator = rng.Stream(SEED, "bootstrap", SPLIT).generator(number)
    rows = generator.integers(n_subsets, size=n_subsets)
    return rows, generator.integers(n_queries, size=n_queries)


def by_hand(predictions, measurement, n_resamples):
    n_subsets, n_queries = predictions.shape
    everything = np.arange(n_subsets), np.arange(n_queries)
    draws = {"subsets": [], "queries": [], "both": []}
    for number in range(n_resamples):
        rows, columns = drawn(number, n_subsets, n_queries)
        for name, chosen_rows, chosen_columns in [
            ("subsets", rows, everything[1]),
            ("queries", everything[0], columns),
            ("both", rows, columns),
        ]:
            values = [
                spearman(predictions[chosen_rows, q], -measurement[chosen_rows, q])
                for q in chosen_columns
            ]
            draws[name].append(np.mean(values))
    return draws


@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
def test_every_draw_is_the_mean_spearman_over_the_rows_and_columns_that_were_drawn(tied):
    predictions, measurement = made_up()
    if tied:
        predictions, measurement = predictions.round(), measurement.round()
    found = resampled(predictions, measurement, 100, SEED, SPLIT)
    for name, expected in by_hand(predictions, measurement, 20).items():
        # 1e-12: sums of a dozen ranks in float64.
        np.testing.assert_allclose(getattr(found, name)[:20], expected, atol=1e-12)


def test_a_resample_that_drew_one_subset_only_counts_as_zero_and_not_as_nan():
    # Of three subsets, 3 resamples in 27 hold a single one, three times.
    predictions, measurement = made_up(n_subsets=3, n_queries=2)
    found = resampled(predictions, measurement, 200, SEED, SPLIT)
    single = [len(set(drawn(number, 3, 2)[0])) == 1 for number in range(200)]
    assert any(single)
    assert (found.subsets[single] == 0).all()
    for name, expected in by_hand(predictions, measurement, 200).items():
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-12)


def test_the_spread_over_queries_is_that_of_a_mean_of_independent_draws():
    predictions, measurement = made_up(n_queries=25)
    values = [spearman(predictions[:, q], -measurement[:, q]) for q in range(25)]
    found = resampled(predictions, measurement, 4000, SEED, SPLIT).queries
    expected = np.std(values) / math.sqrt(25)  # the population variance: draws are with return
    # The standard deviation of 4000 nearly normal draws is known to 1 / sqrt(8000): four of it.
    assert abs(found.std() / expected - 1) < 4 / math.sqrt(8000)
    assert abs(found.mean() - np.mean(values)) < 4 * expected / math.sqrt(4000)


def test_the_spread_over_subsets_is_that_of_another_bootstrap():
    # The same distribution, drawn by NumPy's default generator and ranked by scipy.
    predictions, measurement = made_up(n_subsets=15, n_queries=3)
    found = resampled(predictions, measurement, 3000, SEED, SPLIT).subsets
    generator = np.random.default_rng(1)
    other = []
    for _ in range(1000):
        rows = generator.integers(15, size=15)
        other.append(
            np.mean([spearman(predictions[rows, q], -measurement[rows, q]) for q in range(3)])
        )
    assert stats.ks_2samp(found, other).pvalue > 1e-3


def test_two_predictions_with_the_same_order_get_the_same_draws():
    predictions, measurement = made_up()
    first = resampled(predictions, measurement, 100, SEED, SPLIT)
    second = resampled(np.exp(3 * predictions), measurement, 100, SEED, SPLIT)
    for name in ("subsets", "queries", "both"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_draws_of_similar_methods_move_together():
    predictions, measurement = made_up(n_subsets=20)
    other = predictions + 0.1 * np.random.default_rng(9).normal(size=predictions.shape)
    first = resampled(predictions, measurement, 300, SEED, SPLIT)
    second = resampled(other, measurement, 300, SEED, SPLIT)
    for name in ("subsets", "both"):
        a, b = getattr(first, name), getattr(second, name)
        unpaired = math.hypot(a.std(), b.std())
        assert (a - b).std() < unpaired / 2


def test_a_draw_does_not_depend_on_how_many_there_are():
    predictions, measurement = made_up()
    few = resampled(predictions, measurement, 100, SEED, SPLIT)
    many = resampled(predictions, measurement, 150, SEED, SPLIT)
    for name in ("subsets", "queries", "both"):
        # 1e-14: the matrix product may sum in another order for another number of rows.
        np.testing.assert_allclose(getattr(many, name)[:100], getattr(few, name), atol=1e-14)


def test_draws_are_keyed_by_seed_and_split():
    predictions, measurement = made_up()
    first = resampled(predictions, measurement, 100, SEED, SPLIT)
    assert not np.array_equal(first.both, resampled(predictions, measurement, 100, 4, SPLIT).both)
    assert not np.array_equal(
        first.both, resampled(predictions, measurement, 100, SEED, "gen").both
    )


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_the_interval_is_centred_on_the_point_and_scaled_by_the_normal_quantile(confidence):
    draws = np.random.default_rng(0).normal(size=500)
    low, high = interval(0.3, draws, confidence)
    half = stats.norm.ppf(0.5 + confidence / 2) * np.std(draws, ddof=1)
    assert low == pytest.approx(0.3 - half, rel=1e-12)
    assert high == pytest.approx(0.3 + half, rel=1e-12)


def finite_sample_spearman(pearson, n):
    """Expected Spearman of n pairs from a bivariate normal (Moran 1948)."""
    return 6 / math.pi / (n + 1) * (math.asin(pearson) + (n - 2) * math.asin(pearson / 2))


def simulated(generator, pearson, n_subsets, n_queries, shared):
    """Predictions and losses whose LDS has a known expectation; queries share subsets' luck."""

    def normal():
        common = generator.normal(size=(n_subsets, 1))
        own = generator.normal(size=(n_subsets, n_queries))
        return math.sqrt(shared) * common + math.sqrt(1 - shared) * own

    predictions = normal()
    return predictions, -pearson * predictions + math.sqrt(1 - pearson**2) * normal()


@pytest.mark.slow
@pytest.mark.parametrize("pearson", [0.0, 0.5])
def test_intervals_over_subsets_cover_the_known_truth_about_as_often_as_they_say(pearson):
    generator, n_trials, covered = np.random.default_rng(5), 400, 0
    truth = finite_sample_spearman(pearson, 32)
    for trial in range(n_trials):
        predictions, measurement = simulated(generator, pearson, 32, 8, shared=0.5)
        draws = resampled(predictions, measurement, 150, trial, SPLIT)
        point = float(np.mean([spearman(predictions[:, q], -measurement[:, q]) for q in range(8)]))
        low, high = interval(point, draws.subsets, 0.9)
        covered += low <= truth <= high
    # Of 400 intervals at 90 %, 360 +- 6 should cover. Four standard errors, and 3 % for the
    # bootstrap's own error at 32 subsets and 150 resamples.
    assert abs(covered / n_trials - 0.9) < 4 * math.sqrt(0.9 * 0.1 / n_trials) + 0.03


@pytest.mark.slow
def test_intervals_over_both_cover_the_truth_of_new_subsets_and_new_queries():
    generator, n_trials, covered = np.random.default_rng(6), 300, 0
    strengths = np.linspace(-0.2, 0.9, 50)  # queries differ in how predictable they are
    truth = np.mean([finite_sample_spearman(strength, 32) for strength in strengths])
    for trial in range(n_trials):
        pearson = generator.choice(strengths, 10)
        predictions, noise = generator.normal(size=(2, 32, 10))
        measurement = -pearson * predictions + np.sqrt(1 - pearson**2) * noise
        draws = resampled(predictions, measurement, 150, trial, SPLIT)
        point = float(np.mean([spearman(predictions[:, q], -measurement[:, q]) for q in range(10)]))
        low, high = interval(point, draws.both, 0.9)
        covered += low <= truth <= high
    # Drawing both axes again counts their interaction twice, so the interval is on the wide side.
    assert 0.9 - 4 * math.sqrt(0.9 * 0.1 / n_trials) < covered / n_trials < 0.99
