"""Retraining-based methods against scikit-learn and brute force."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from diffattr.attribution.method import with_options
from diffattr.attribution.retraining import Datamodel, EmpiricalInfluence
from diffattr.config import ConfigError
from diffattr.evaluation.lds import lds

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)


def retrained(n_models, n_train, n_queries=12, noise=0.5, seed=0):
    """Masks of halves, and losses that are additive in the training images, with noise."""
    generator = np.random.default_rng(seed)
    masks = np.array([generator.permutation(n_train) < n_train // 2 for _ in range(n_models)])
    effects = generator.normal(size=(n_train, n_queries))
    scale = np.logspace(-3, 3, n_queries)
    losses = 5 + masks @ effects + noise * generator.normal(size=(n_models, n_queries)) * scale
    return masks, losses, effects


@pytest.mark.parametrize(("n_models", "n_train"), [(23, 40), (60, 9), (10, 30)])
def test_the_datamodel_agrees_with_ridge_cv_per_query(n_models, n_train):
    masks, losses, _ = retrained(n_models, n_train)
    method = Datamodel(alphas=ALPHAS)
    found = method.scores_from_losses(masks, losses)
    chosen = method.chosen_alphas(masks.astype(float), losses)
    for query in range(losses.shape[1]):
        expected = RidgeCV(alphas=ALPHAS, cv=5).fit(masks, losses[:, query])
        assert ALPHAS[chosen[query]] == expected.alpha_
        # 1e-9: two solvers of the same system in float64.
        np.testing.assert_allclose(
            found[query], -expected.coef_, rtol=0, atol=1e-9 * np.abs(expected.coef_).max()
        )
    assert len(set(chosen.tolist())) > 1  # queries of different noise want different alphas


def test_one_query_alone_scores_as_among_others():
    masks, losses, _ = retrained(20, 15)
    whole = Datamodel().scores_from_losses(masks, losses)
    alone = Datamodel().scores_from_losses(masks, losses[:, [4]])
    np.testing.assert_allclose(alone[0], whole[4], rtol=1e-9, atol=1e-12)


def test_empirical_influence_is_the_difference_of_means():
    masks, losses, _ = retrained(30, 8)
    found = EmpiricalInfluence().scores_from_losses(masks, losses)
    for image in range(8):
        inside = losses[masks[:, image]].mean(axis=0)
        outside = losses[~masks[:, image]].mean(axis=0)
        np.testing.assert_allclose(found[:, image], outside - inside, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("everywhere", [True, False])
def test_an_image_of_all_or_no_subsets_has_no_empirical_influence(everywhere):
    masks, losses, _ = retrained(30, 8)
    masks[:, 3] = everywhere
    found = EmpiricalInfluence().scores_from_losses(masks, losses)
    assert not found[:, 3].any()
    assert found[:, 2].all()


@pytest.mark.parametrize("method", [EmpiricalInfluence(), Datamodel()])
def test_scores_are_minus_the_effect_on_an_additive_loss(method):
    masks, losses, effects = retrained(600, 20, noise=0.0)
    found = method.scores_from_losses(masks, losses)
    for query, row in enumerate(found):
        assert np.corrcoef(row, -effects[:, query])[0, 1] > 0.95
    fresh, _, _ = retrained(50, 20, seed=1)
    assert lds(fresh @ found.T, fresh @ effects).mean() > 0.9


@pytest.mark.parametrize("method", [EmpiricalInfluence(), Datamodel()])
def test_constant_losses_are_nobody_s_doing(method):
    masks, losses, _ = retrained(20, 8)
    found = method.scores_from_losses(masks, np.full_like(losses, 3.0))
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alphas": []}, "alphas: found [], expected positive numbers"),
        ({"alphas": [1.0, 0.0]}, "alphas: found [1.0, 0.0], expected positive numbers"),
        ({"folds": 1}, "folds: found 1, allowed: at least 2"),
        ({"folds": "five"}, "folds: found 'five': Expected `int`, got `str`"),
        ({"alpha": 1.0}, "alpha: unknown option (known here: alphas, folds)"),
        ({"reads": "pixels"}, "reads: unknown option (known here: alphas, folds)"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(ConfigError) as caught:
        with_options(Datamodel(), options)
    assert str(caught.value) == sentence


def test_options_replace_defaults_and_leave_the_method_as_it_was():
    method = Datamodel()
    changed = with_options(method, {"alphas": [1, 2.5]})
    assert changed.alphas == (1.0, 2.5)
    assert changed.folds == method.folds == 5
    assert changed.least_models == 10
    assert with_options(changed, {"folds": 2}).least_models == 4
