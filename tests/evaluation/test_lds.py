"""LDS against scipy's own Spearman correlation, and the direction in which it points."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from diffattr.evaluation.lds import lds, mean_ranks, standardised_ranks

COLUMNS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(3, 8), st.integers(1, 4)),
    # A few values only, so that most columns hold ties and some are constant.
    elements=st.integers(-2, 2).map(float),
)


def spearman(first, second):
    """Scipy's coefficient; 0 where it is undefined since one side is constant."""
    if len(set(first)) == 1 or len(set(second)) == 1:
        return 0.0
    return stats.spearmanr(first, second).statistic


def by_hand(predictions, measurement):
    return np.array(
        [
            [spearman(path[:, query], -measurement[:, query]) for query in range(path.shape[1])]
            for path in predictions
        ]
    )


def test_equals_a_loop_over_spearmanr():
    generator = np.random.default_rng(0)
    predictions = generator.normal(size=(4, 12, 7))
    measurement = generator.normal(size=(12, 7))
    # 1e-12: both sides sum a dozen products of numbers below 1 in float64.
    np.testing.assert_allclose(
        lds(predictions, measurement), by_hand(predictions, measurement), atol=1e-12
    )


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_ties_and_constant_columns_are_treated_as_scipy_does(data):
    first = data.draw(COLUMNS)
    second = data.draw(hnp.arrays(np.float64, first.shape, elements=st.integers(-2, 2).map(float)))
    np.testing.assert_allclose(lds(first[None], second), by_hand(first[None], second), atol=1e-12)


@given(COLUMNS)
def test_ranks_are_scipy_s(values):
    for array in (values, np.stack([values, -values])):
        assert np.array_equal(mean_ranks(array), stats.rankdata(array, axis=-2) - 1)


def test_a_constant_prediction_has_an_lds_of_zero_and_not_nan():
    measurement = np.random.default_rng(0).normal(size=(6, 3))
    assert (lds(np.full((6, 3), 0.1), measurement) == 0).all()
    assert (lds(measurement, np.full((6, 3), 0.1)) == 0).all()


def planted_effects():
    """Subsets in which every training image lowers each query's loss by a known amount."""
    generator = np.random.default_rng(1)
    effects = generator.normal(size=(5, 30))  # (query, train), positive = lowers the loss
    masks = generator.random((40, 30)) < 0.5
    losses = 7.0 - masks @ effects.T
    return effects, masks, losses


def test_scores_that_say_how_much_each_image_lowers_the_loss_have_an_lds_of_plus_one():
    effects, masks, losses = planted_effects()
    np.testing.assert_allclose(lds(masks @ effects.T, losses), 1.0, atol=1e-12)


def test_scores_of_the_opposite_sign_have_an_lds_of_minus_one():
    effects, masks, losses = planted_effects()
    np.testing.assert_allclose(lds(masks @ -effects.T, losses), -1.0, atol=1e-12)


def test_only_the_order_of_predictions_and_of_losses_matters():
    _, _, losses = planted_effects()
    predictions = np.random.default_rng(2).normal(size=losses.shape)
    bent = np.exp(predictions) * np.array([1, 2, 3, 4, 5.0])
    assert np.array_equal(lds(predictions, losses), lds(bent, np.cbrt(losses)))


def test_every_lambda_and_every_query_stands_for_itself():
    generator = np.random.default_rng(3)
    predictions, measurement = generator.normal(size=(3, 9, 4)), generator.normal(size=(9, 4))
    whole = lds(predictions, measurement)
    for lam in range(3):
        # 1e-14: einsum may sum in another order for other shapes.
        np.testing.assert_allclose(lds(predictions[lam], measurement), whole[lam], atol=1e-14)
        for query in range(4):
            alone = lds(predictions[lam][:, [query]], measurement[:, [query]])
            np.testing.assert_allclose(alone, whole[lam, [query]], atol=1e-14)


def test_the_order_of_the_subsets_does_not_matter():
    generator = np.random.default_rng(4)
    predictions, measurement = generator.normal(size=(9, 4)), generator.normal(size=(9, 4))
    order = generator.permutation(9)
    np.testing.assert_allclose(
        lds(predictions[order], measurement[order]), lds(predictions, measurement), atol=1e-14
    )


def test_stored_float32_predictions_are_ranked_as_they_stand():
    generator = np.random.default_rng(5)
    predictions = generator.normal(size=(2, 9, 4)).astype(np.float32)
    measurement = generator.normal(size=(9, 4))
    assert np.array_equal(
        lds(predictions, measurement), lds(predictions.astype(np.float64), measurement)
    )


@given(COLUMNS)
@settings(deadline=None, max_examples=40)
def test_ranks_have_mean_zero_and_length_one_unless_the_column_is_constant(values):
    ranks = standardised_ranks(values)
    constant = (values == values[0]).all(axis=0)
    np.testing.assert_allclose(ranks.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(ranks, axis=0), ~constant, atol=1e-12)
