"""What is said about one method on one split hangs together, and equals its parts by hand."""

import json

import msgspec
import numpy as np
import pytest
from scipy import stats

from diffattr.artifacts import ArtifactError, read_struct, write_json
from diffattr.config import Lds, QueryList
from diffattr.evaluation.bootstrap import resampled
from diffattr.evaluation.result import LdsResult, evaluate
from diffattr.evaluation.selection import cross_fitted, selected_lambda

OPTIONS = Lds(folds=5, resamples=200, confidence=0.9)
LAMBDAS = [0.1, 1.0, 10.0]
N_SUBSETS, N_QUERIES = 16, 20


@pytest.fixture(scope="module")
def inputs():
    """Measurements of two seeds, and predictions of three qualities, the middle one the best."""
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(N_SUBSETS, N_QUERIES))
    measurements = truth + 0.5 * generator.normal(size=(2, N_SUBSETS, N_QUERIES))
    noise = generator.normal(size=(3, N_SUBSETS, N_QUERIES))
    predictions = -truth + np.array([2.0, 0.4, 3.0])[:, None, None] * noise
    return predictions.astype(np.float32), measurements


@pytest.fixture(scope="module")
def result(inputs):
    return evaluate(inputs[0], LAMBDAS, {"loss": inputs[1]}, OPTIONS, 1, "val")


def path_by_hand(predictions, measurements):
    mean = (measurements[0] + measurements[1]) / 2
    return np.array(
        [
            [stats.spearmanr(lam[:, q], -mean[:, q]).statistic for q in range(N_QUERIES)]
            for lam in predictions
        ]
    )


def test_the_curve_is_the_mean_over_queries_of_spearman_against_the_mean_measurement(
    inputs, result
):
    path = path_by_hand(*inputs)
    assert result.curve.lambdas == tuple(LAMBDAS)
    np.testing.assert_allclose(result.curve.lds, path.mean(axis=1), atol=1e-12)


def test_the_best_lambda_is_found(result):
    # By far the best quality was given to the middle lambda: every fold must choose it.
    assert result.selected.lam == 1.0
    assert result.oracle.lam == 1.0
    assert result.oracle.lds == max(result.curve.lds)
    assert result.lds == pytest.approx(result.oracle.lds)


def test_the_lds_is_the_mean_over_queries_each_at_its_own_lambda(inputs):
    generator = np.random.default_rng(7)
    predictions = generator.normal(size=inputs[0].shape)  # no lambda is best: folds differ
    result = evaluate(predictions, LAMBDAS, {"loss": inputs[1]}, OPTIONS, 1, "val")
    path = path_by_hand(predictions, inputs[1])
    assert result.lds == pytest.approx(np.mean(result.per_query), abs=1e-12)
    for query, value in enumerate(result.per_query):
        assert np.isclose(path[:, query], value, atol=1e-12).any()
    assert result.lds <= result.oracle.lds


def test_the_selected_lambda_is_not_the_best_in_hindsight(inputs):
    # Chance predictions, of a seed at which the folds' median and the best of all queries differ.
    truth = np.random.default_rng(0).normal(size=(N_SUBSETS, N_QUERIES))
    predictions = np.random.default_rng(6).normal(size=inputs[0].shape)
    result = evaluate(predictions, LAMBDAS, {"loss": truth[None]}, OPTIONS, 1, "val")
    found = cross_fitted(path_by_hand(predictions, [truth, truth]), OPTIONS.folds, 1, "val")
    assert found.selected != found.oracle
    assert result.selected.lam == LAMBDAS[found.selected]
    assert result.oracle.lam == LAMBDAS[found.oracle]
    written = selected_lambda(predictions, LAMBDAS, truth[None], OPTIONS.folds, 1, "val")
    assert written == LAMBDAS[found.selected]


def test_every_interval_contains_the_point(result):
    for name in ("both", "subsets", "queries"):
        low, high = getattr(result.interval, name)
        assert low < result.lds < high
    intervals = msgspec.structs.asdict(result.interval)
    widths = {name: high - low for name, (low, high) in intervals.items()}
    assert widths["both"] > max(widths["subsets"], widths["queries"])


def test_the_resamples_are_those_of_the_intervals(result):
    for name in ("both", "subsets"):
        draws = np.array(getattr(result.resamples, name))
        assert len(draws) == OPTIONS.resamples
        half = stats.norm.ppf(0.95) * draws.std(ddof=1)
        assert getattr(result.interval, name)[1] == pytest.approx(result.lds + half)


def test_the_ceiling_is_that_of_the_measurements(inputs, result):
    first, second = inputs[1]
    repeat = np.mean(
        [stats.spearmanr(first[:, q], second[:, q]).statistic for q in range(N_QUERIES)]
    )
    reliability = 2 * repeat / (1 + repeat)  # Spearman-Brown, of the mean of two seeds
    assert result.ceiling.n_seeds == 2
    assert result.ceiling.repeat == pytest.approx(repeat, abs=1e-12)
    assert result.ceiling.bound == pytest.approx(reliability**0.5, abs=1e-12)
    assert result.ceiling.one_more_retraining == pytest.approx(
        (repeat * reliability) ** 0.5, abs=1e-12
    )
    assert result.of_bound == pytest.approx(result.lds / reliability**0.5, abs=1e-12)


def test_one_seed_gives_an_lds_and_no_ceiling(inputs):
    result = evaluate(inputs[0], LAMBDAS, {"loss": inputs[1][:1]}, OPTIONS, 1, "val")
    assert result.ceiling is None
    assert result.of_bound is None
    assert result.lds > 0.5


def test_measurements_without_signal_have_no_share_of_the_bound(inputs):
    first = inputs[1][0]
    # The mean of the two must not be constant, or there would be no ranks at all.
    result = evaluate(
        inputs[0], LAMBDAS, {"loss": np.stack([first, -1.5 * first])}, OPTIONS, 1, "val"
    )
    assert result.ceiling.bound == 0
    assert result.of_bound is None


def test_a_method_without_lambda_says_null(inputs):
    result = evaluate(inputs[0][:1], [None], {"loss": inputs[1]}, OPTIONS, 1, "val")
    assert result.selected.lam is None
    assert result.oracle.lam is None
    assert result.oracle.lds == pytest.approx(result.lds)


def test_the_result_is_read_back_as_it_was_written(inputs, tmp_path):
    options = msgspec.structs.replace(
        OPTIONS, query_lists={"few": QueryList(split="val", queries=(3, 7))}
    )
    measured = {"loss": inputs[1], "weighted-mse": 2 * inputs[1]}
    for lambdas in (LAMBDAS, [None]):
        result = evaluate(inputs[0][: len(lambdas)], lambdas, measured, options, 1, "val")
        write_json(tmp_path / "val.json", msgspec.to_builtins(result))
        assert read_struct(tmp_path / "val.json", LdsResult) == result
    found = json.loads((tmp_path / "val.json").read_text())
    assert found["selected"] == {"lambda": None}
    assert set(found["measured"]["weighted-mse"]["oracle"]) == {"lambda", "lds"}


MISFITS = {
    "another type": {"lds": "high"},
    "too many numbers": {"interval": {"both": [0, 1, 2], "subsets": [0, 1], "queries": [0, 1]}},
    "an unknown key": {"mean": 0.5},
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_a_file_that_does_not_fit_is_refused_in_a_sentence(result, tmp_path, change):
    path = tmp_path / "val.json"
    write_json(path, msgspec.to_builtins(result) | change)
    with pytest.raises(ArtifactError) as caught:
        read_struct(path, LdsResult)
    text, key = str(caught.value), next(iter(change))
    assert text.startswith(f"{path}: ")
    assert key in text
    assert f"rebuild it: snakemake --force {path}" in text


def test_the_result_counts_what_went_in(result):
    assert result.n_subsets == N_SUBSETS
    assert result.n_queries == len(result.per_query) == N_QUERIES


def test_nothing_depends_on_the_scale_of_predictions(inputs, result):
    again = evaluate(inputs[0] * 1e-6, LAMBDAS, {"loss": inputs[1]}, OPTIONS, 1, "val")
    assert again == result


def test_point_and_resamples_are_those_of_predictions_taken_query_by_query_at_its_lambda(inputs):
    # Predictions without a best lambda, so that folds choose differently.
    predictions = np.random.default_rng(7).normal(size=inputs[0].shape).astype(np.float32)
    mean = (inputs[1][0] + inputs[1][1]) / 2
    chosen = cross_fitted(path_by_hand(predictions, inputs[1]), OPTIONS.folds, 1, "val").per_query
    assert len(set(chosen)) > 1
    judged = np.empty((N_SUBSETS, N_QUERIES))
    for query in range(N_QUERIES):
        for subset in range(N_SUBSETS):
            judged[subset, query] = predictions[chosen[query], subset, query]
    points = [stats.spearmanr(judged[:, q], -mean[:, q]).statistic for q in range(N_QUERIES)]
    draws = resampled(judged, mean, OPTIONS.resamples, 1, "val")

    result = evaluate(predictions, LAMBDAS, {"loss": inputs[1]}, OPTIONS, 1, "val")
    # 1e-12: ranks are summed in float64 in another order.
    np.testing.assert_allclose(result.per_query, points, atol=1e-12)
    np.testing.assert_allclose(result.resamples.both, draws.both, atol=1e-12)
    np.testing.assert_allclose(result.resamples.subsets, draws.subsets, atol=1e-12)
    half = stats.norm.ppf(0.95) * draws.queries.std(ddof=1)
    np.testing.assert_allclose(
        result.interval.queries, [np.mean(points) - half, np.mean(points) + half], atol=1e-12
    )
    assert result.selected.lam in {LAMBDAS[index] for index in chosen}


def test_a_result_holds_these_keys_and_no_others(result):
    assert set(msgspec.to_builtins(result)) == {
        "lds",
        "interval",
        "selected",
        "oracle",
        "curve",
        "ceiling",
        "of_bound",
        "per_query",
        "resamples",
        "n_subsets",
        "n_queries",
        "measured",
        "query_lists",
    }


def test_another_quantity_is_judged_as_if_it_were_the_only_one(inputs):
    other = inputs[1] ** 3 + np.random.default_rng(3).normal(size=inputs[1].shape)
    measured = {"loss": inputs[1], "weighted-mse": other}
    result = evaluate(inputs[0], LAMBDAS, measured, OPTIONS, 1, "val")
    alone = evaluate(inputs[0], LAMBDAS, {"loss": other}, OPTIONS, 1, "val")
    found = result.measured["weighted-mse"]
    for key in ("lds", "selected", "oracle"):
        assert getattr(found, key) == getattr(alone, key)
    assert found.interval == alone.interval.both
    assert found.bound == alone.ceiling.bound
    assert result.lds == evaluate(inputs[0], LAMBDAS, {"loss": inputs[1]}, OPTIONS, 1, "val").lds


def test_a_list_of_queries_has_the_mean_of_their_own_lds(inputs, result):
    lists = {
        "few": QueryList(split="val", queries=(3, 7, 19)),
        "all": QueryList(split="val", queries=tuple(range(N_QUERIES))),
        "elsewhere": QueryList(split="gen", queries=(0,)),
    }
    options = msgspec.structs.replace(OPTIONS, query_lists=lists)
    found = evaluate(inputs[0], LAMBDAS, {"loss": inputs[1]}, options, 1, "val").query_lists
    assert found.keys() == {"few", "all"}
    expected = np.mean([result.per_query[query] for query in (3, 7, 19)])
    assert found["few"].lds == pytest.approx(expected, abs=1e-12)
    assert found["few"].n_queries == 3
    assert found["all"].lds == pytest.approx(result.lds, abs=1e-12)
    assert found["all"].interval == pytest.approx(result.interval.both, abs=1e-12)
