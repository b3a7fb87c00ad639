from statistics import NormalDist, stdev

import pytest

from diffattr.report.queries import evenly_spaced

TRAIN_IDS = [3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610]


def by_name(rows, key="name"):
    return {row[key]: row for row in rows}


def test_the_lds_table_says_what_the_artifacts_say_best_first(folder, numbers):
    table = by_name(numbers["lds"], "split")["gen"]
    for row in table["methods"]:
        artifact = folder.lds["gen"][row["name"]]
        assert row["lds"] == artifact["lds"]
        assert row["interval"] == artifact["interval"]["both"]
        assert row["of_bound"] == artifact["of_bound"]
        assert row["selected_lambda"] == artifact["selected"]["lambda"]
        assert (row["oracle_lambda"], row["oracle_lds"]) == (
            artifact["oracle"]["lambda"],
            artifact["oracle"]["lds"],
        )
    found = [row["lds"] for row in table["methods"]]
    assert found == sorted(found, reverse=True)
    assert len(found) == len(folder.lds["gen"])


def test_a_difference_and_its_interval_equal_those_computed_by_hand(folder, numbers):
    table = by_name(numbers["lds"], "split")["val"]
    (pair,) = table["d_trak"]
    assert (pair["method"], pair["baseline"]) == ("d-trak-4", "trak-4")
    assert pair["passes"] == ["t4", "t4"]
    ours, theirs = folder.lds["val"]["d-trak-4"], folder.lds["val"]["trak-4"]
    draws = [
        a - b for a, b in zip(ours["resamples"]["both"], theirs["resamples"]["both"], strict=True)
    ]
    point, spread = ours["lds"] - theirs["lds"], stdev(draws)
    half = NormalDist().inv_cdf(0.975) * spread
    assert pair["difference"] == pytest.approx(point)
    assert pair["interval"] == pytest.approx([point - half, point + half])
    assert pair["oracle_difference"] == pytest.approx(
        ours["oracle"]["lds"] - theirs["oracle"]["lds"]
    )
    assert pair["confidence_higher"] == pytest.approx(NormalDist().cdf(point / spread))


def test_d_trak_is_also_compared_with_trak_on_more_timesteps_of_the_same_noise(make_folder):
    # A D-TRAK on more timesteps, or a TRAK at other models, is no comparison of the two.
    folder = make_folder(noise="common", further=True)
    for table in folder.gather().lds:
        pairs = [(pair.method, pair.baseline, list(pair.passes)) for pair in table.d_trak]
        assert pairs == [
            ("d-trak-4", "trak-4", ["t4", "t4"]),
            ("d-trak-4", "trak-8", ["t4", "t8"]),
            ("d-trak-8", "trak-8", ["t8", "t8"]),
        ]


def test_every_method_but_the_best_is_compared_with_the_best(folder, numbers):
    for table in numbers["lds"]:
        best = max(folder.lds[table["split"]].items(), key=lambda item: item[1]["lds"])[0]
        assert table["best"] == best
        assert {row["baseline"] for row in table["to_best"]} == {best}
        assert {row["method"] for row in table["to_best"]} == set(folder.lds["val"]) - {best}


def test_planted_ranks_equal_a_count_by_hand(folder, numbers):
    found = by_name(numbers["planted"]["methods"])
    assert set(found) == set(folder.benchmark.config.methods)
    for name, row in found.items():
        scores = folder.scores[name, "planted"]
        ranks = [
            1 + sum(other > scores[query][copy] for other in scores[query])
            for query, copy in enumerate(folder.copies)
        ]
        assert row["ranks"] == ranks
        assert row["mean_rank"] == pytest.approx(sum(ranks) / 3)
        assert row["recall_at_1"] == pytest.approx(ranks.count(1) / 3)


def test_shown_queries_have_their_own_highest_and_lowest_scores(folder, numbers):
    for group in numbers["queries"]:
        for query in group["queries"]:
            for method in query["methods"]:
                scores = folder.scores[method["name"], group["split"]][query["index"]]
                pairs = sorted(enumerate(scores.tolist()), key=lambda pair: pair[1])
                for side, expected in (("opponents", pairs), ("proponents", pairs[::-1])):
                    found = [(image["train"], image["score"]) for image in method[side]]
                    assert found == expected[:2]
                    assert [image["id"] for image in method[side]] == [
                        TRAIN_IDS[position] for position, _ in expected[:2]
                    ]


def test_the_copy_of_a_planted_query_is_marked(folder, numbers):
    groups = by_name(numbers["queries"], "split")
    for query in groups["planted"]["queries"]:
        for method in query["methods"]:
            for image in [*method["proponents"], *method["opponents"]]:
                assert image["is_copy"] == (image["train"] == folder.copies[query["index"]])


@pytest.mark.parametrize(
    ("n", "count", "expected"),
    [(10, 3, [0, 4, 9]), (2, 6, [0, 1]), (1, 1, [0]), (5, 1, [0])],
)
def test_queries_are_spread_over_the_split(n, count, expected):
    assert evenly_spaced(n, count) == expected


def test_a_large_error_of_the_features_is_not_passed(numbers):
    checks = numbers["checks"]
    assert [(check["gradient_pass"], check["passed"]) for check in checks] == [
        ("t4", True),
        ("t8", False),
    ]


def test_random_scores_are_held_against_zero(folder, numbers):
    controls = numbers["controls"]
    for control in controls:
        lds = folder.lds[control["split"]]["random"]["lds"]
        # The made-up intervals are .1 wide on either side.
        assert control["passed"] == (abs(lds) <= 0.1)
    assert [control["split"] for control in controls] == ["val", "gen"]


def test_a_benchmark_without_planted_images_and_with_one_seed_has_numbers(make_folder):
    folder = make_folder(n_planted=0, seeds=(0,))
    report = folder.gather()
    assert report.planted is None
    assert [table.ceiling for table in report.lds] == [None, None]
    assert [group.split for group in report.queries] == ["val", "gen"]
