"""Random scores: uniform, tied to their images, and worth nothing."""

import numpy as np
from scipy import stats

from diffattr.attribution.random_scores import RandomScores
from diffattr.evaluation.lds import lds


def images(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)


def test_scores_are_uniform():
    scores = RandomScores().scores(images(60, 0), images(50, 1))
    assert scores.min() >= 0
    assert scores.max() < 1
    # Inputs are fixed, so this is no matter of luck on the next run.
    assert stats.kstest(scores.ravel(), "uniform").pvalue > 1e-3


def test_rows_and_columns_are_uncorrelated():
    # A xor of two hashes without a final mixing would make rows of one another.
    scores = RandomScores().scores(images(300, 0), images(10, 1))
    for matrix in (scores, scores.T[:10]):
        correlations = np.corrcoef(matrix)[np.triu_indices(10, 1)]
        # 45 correlations: four and a half standard errors.
        assert np.abs(correlations).max() < 4.5 / np.sqrt(matrix.shape[1])


def test_a_score_follows_its_two_images_and_nothing_else():
    train, queries = images(6, 0), images(3, 1)
    whole = RandomScores().scores(train, queries)
    alone = RandomScores().scores(train[[4]], queries[[2]])
    assert alone[0, 0] == whole[2, 4]
    changed = queries.copy()
    changed[0, 0] += 1
    again = RandomScores().scores(train, changed)
    assert not (again[0] == whole[0]).any()
    assert np.array_equal(again[1:], whole[1:])


def test_a_query_and_a_training_image_of_the_same_bytes_get_no_special_score():
    same = images(40, 0)
    same_image = np.diag(RandomScores().scores(same, same))
    assert stats.kstest(same_image, "uniform").pvalue > 1e-3


def test_they_predict_nothing():
    generator = np.random.default_rng(2)
    masks = generator.random((30, 60)) < 0.5
    measurement = generator.normal(size=(30, 100))
    found = lds(masks @ RandomScores().scores(images(60, 0), images(100, 1)).T, measurement)
    # Four standard errors of a mean of 100 independent Spearman correlations over 30 subsets.
    assert abs(found.mean()) < 4 / np.sqrt(29 * 100)
