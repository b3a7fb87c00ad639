"""Published numbers: they agree with one another, name what exists, and stand beside ours."""

from importlib.resources import files
from typing import get_args

import msgspec
import numpy as np
import pytest
from changed_config import benchmark, schema

from diffattr.attribution import METHODS
from diffattr.config import Lds
from diffattr.evaluation.result import evaluate
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.report import page, published
from diffattr.report.files import Inputs, input_files
from diffattr.report.gather import gather

NAMES = ["artbench2", "artbench5", "celeba", "cifar10", "cifar2"]
every_data_set = pytest.mark.parametrize("name", NAMES)
# Published with three digits behind the point, or in percent with one or two.
ROUNDING = 0.0005


def figure_of(name, **values):
    return [
        row
        for row in published.read(name).lds
        if all(getattr(row, key) == value for key, value in values.items())
    ]


def test_the_files_are_those_that_a_config_may_name():
    folder = files("diffattr.report").joinpath("published")
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.json" for name in NAMES]
    of_key = schema()["$defs"]["Report"]["properties"]["published"]
    assert of_key["anyOf"][0]["enum"] == NAMES


@every_data_set
def test_every_name_exists_and_every_number_has_a_source(name):
    found = published.read(name)
    assert found.data_set == name
    rows = [*found.lds, *found.constructions, *found.curves, *found.best_lambdas]
    assert {row.source for row in rows} == set(found.sources)
    kinds = {row.method for row in (*found.lds, *found.curves, *found.best_lambdas)}
    assert kinds <= set(METHODS)
    assert {row.output_function for row in found.constructions} <= set(OUTPUT_FUNCTIONS)
    assert {row.embedding for row in found.lds} <= {None, *EMBEDDINGS}
    for row in found.lds:
        assert row.point is not None or row.mean is not None
        assert (row.n_timesteps is not None) == (METHODS[row.method].reads == "features")
        assert (row.models is not None) == (METHODS[row.method].reads == "losses")


@every_data_set
def test_nothing_is_said_twice(name):
    found = published.read(name)
    for rows, keys in (
        (found.lds, ("method", "split", "n_timesteps", "ensemble", "models")),
        (found.curves, ("method", "split", "n_timesteps")),
        (found.best_lambdas, ("method", "split", "n_timesteps")),
        (found.constructions, ("output_function", "split", "n_timesteps")),
    ):
        identities = [tuple(getattr(row, key) for key in keys) for row in rows]
        assert len(set(identities)) == len(identities)


@every_data_set
def test_mean_point_and_interval_agree(name):
    compared = 0
    for row in published.read(name).lds:
        if row.interval is not None:
            low, high = row.interval
            assert low <= high <= low + 5 * row.sd
            # Repeated subsets tie in a bootstrap sample, which lowers its mean; the intervals are
            # corrected for that bias. A digit in the wrong place would be many deviations off.
            assert -1 <= ((low + high) / 2 - row.mean) / row.sd <= 2
            compared += 1
        if row.point is not None and row.interval is not None:
            assert low - ROUNDING <= row.point <= high + ROUNDING
            assert -0.5 <= (row.point - row.mean) / row.sd <= 1.5
    assert compared == len(figure_of(name, source="notebooks"))


@every_data_set
def test_curves_have_their_highest_point_at_the_best_lambda_and_the_published_lds_there(name):
    found = published.read(name)
    assert len(found.curves) == 8
    for curve in found.curves:
        assert len(curve.lds) == len(found.lambdas) == 27
        identity = {key: getattr(curve, key) for key in ("method", "split", "n_timesteps")}
        (best,) = [
            row
            for row in found.best_lambdas
            if identity == {key: getattr(row, key) for key in identity}
        ]
        at_best = curve.lds[found.lambdas.index(best.lam)]
        # Curves have one digit in percent: others may round to the same.
        assert at_best == max(curve.lds)
        (row,) = figure_of(name, ensemble=None, **identity)
        if row.point is not None:
            assert at_best == pytest.approx(row.point, abs=2 * ROUNDING)


@pytest.mark.parametrize(
    ("name", "figure", "expected"),
    [
        # The numbers that the paper is known for, in percent, by hand.
        ("cifar2", {"method": "d-trak", "split": "val", "n_timesteps": 10}, (26.79, 0.33)),
        ("cifar2", {"method": "d-trak", "split": "gen", "n_timesteps": 100}, (25.67, 0.40)),
        ("cifar2", {"method": "trak", "split": "val", "n_timesteps": 100}, (23.59, 0.46)),
        ("artbench5", {"method": "journey-trak", "split": "gen", "n_timesteps": 10}, (7.59, 0.78)),
        ("celeba", {"method": "pixel-dot", "split": "gen"}, (-4.94, 1.58)),
        ("artbench2", {"method": "datamodel", "split": "gen", "models": 512}, (16.35, 0.69)),
    ],
)
def test_numbers_are_those_of_the_tables(name, figure, expected):
    (row,) = figure_of(name, ensemble=None, **figure)
    assert (100 * row.mean, 100 * row.sd) == pytest.approx(expected, abs=1e-9)


@every_data_set
def test_the_claim_of_the_paper_is_in_its_numbers(name):
    for split in ("val", "gen"):
        values = {"split": split, "ensemble": None}
        (d_trak,) = figure_of(name, method="d-trak", n_timesteps=10, **values)
        (trak,) = figure_of(name, method="trak", n_timesteps=100, **values)
        assert d_trak.mean > trak.mean


def test_table_1_has_the_order_of_the_paper():
    rows = published.read("cifar2").constructions
    assert len(rows) == 7 * 2 * 3
    at = {(row.output_function, row.split, row.n_timesteps): row.lds for row in rows}
    assert at["loss", "val", 10] == 0.1066
    assert at["linf-norm", "gen", 1000] == 0.1594
    for (function, split, n_timesteps), lds in at.items():
        if n_timesteps > 10:
            assert lds > at[function, split, 10]


@pytest.mark.parametrize("key", ["extra", "lds", "protocol"])
def test_a_file_is_closed(key):
    raw = msgspec.json.decode(msgspec.json.encode(published.read("cifar2")))
    if key == "extra":
        raw["extra"] = 1
    elif key == "lds":
        raw["lds"][0]["ponit"] = 0.1
    else:
        del raw["protocol"]["k"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, published.Published)


# --- beside ours ------------------------------------------------------------------------------

PASS = {
    "n_timesteps": 10,
    "noise": "common",
    "output_functions": ["loss"],
    "projector": {"kind": "sjlt", "k": 256},
}


@pytest.mark.parametrize(
    ("method", "changes", "figure"),
    [
        ({"method": "pixel-dot"}, {}, {"method": "pixel-dot"}),
        ({"method": "random"}, {}, {"method": "random"}),
        ({"method": "random", "options": {"draw": 1}}, {}, None),
        ({"method": "trak"}, {}, {"method": "trak", "n_timesteps": 10, "ensemble": None}),
        ({"method": "trak"}, {"n_timesteps": 100}, {"method": "trak", "n_timesteps": 100}),
        ({"method": "trak"}, {"n_timesteps": 20}, None),
        ({"method": "trak"}, {"draws": 2}, None),
        ({"method": "trak"}, {"timesteps": "cumulative"}, None),
        ({"method": "trak", "checkpoints": [0.5]}, {}, None),
        (
            {"method": "trak", "ensemble": {"of": "retrain", "count": 4}},
            {},
            {"method": "trak", "n_timesteps": 10, "ensemble": 4},
        ),
        ({"method": "trak", "ensemble": {"of": "retrain", "count": 3}}, {}, None),
        ({"method": "trak", "ensemble": {"of": "full", "count": 4}}, {}, None),
        (
            {"method": "tracin", "checkpoints": [0.0, 0.5, 1.0]},
            {},
            {"method": "tracin", "n_timesteps": 10},
        ),
        ({"method": "datamodel", "models": 64}, {}, {"method": "datamodel", "models": 64}),
        ({"method": "datamodel", "models": 65}, {}, None),
        ({"method": "embedding-dot", "embedding": "clip"}, {}, {"method": "embedding-dot"}),
        ({"method": "embedding-dot", "embedding": "bottleneck"}, {}, None),
    ],
)
def test_a_method_of_the_config_is_that_of_the_figure_or_of_none(method, changes, figure):
    if method["method"] in ("trak", "tracin"):
        method = {**method, "features": "t/loss"}
    made = benchmark(
        {
            "features": {"t": {**PASS, **changes}},
            "embeddings": {
                "clip": {"kind": "clip", "options": {"model": "ViT-B-32", "weights": "openai"}},
                "bottleneck": {"kind": "bottleneck", "options": {"n_timesteps": 2}},
            },
            "measurement.subsets.retrain.count": 70,
            "methods": {"other": {"method": "pixel-cosine"}, "mine": method},
        }
    )
    rows = published.read("cifar2").lds
    found = [r for r in rows if r.split == "val" and published.repeats(made, "mine", r)]
    if figure is None:
        assert found == []
    else:
        (row,) = found
        assert all(getattr(row, key) == value for key, value in figure.items())


def made_up_result(value):
    generator = np.random.default_rng(0)
    measurements = {"loss": generator.normal(size=(1, 4, 3))}
    options = Lds(folds=2, resamples=10, confidence=0.95)
    found = evaluate(generator.normal(size=(1, 4, 3)), [None], measurements, options, 1, "val")
    return msgspec.structs.replace(found, lds=value)


def test_a_figure_that_several_methods_repeat_stands_there_for_each_and_cells_for_constructions():
    both = ["loss", "mean-squared-l2-norm"]
    made = benchmark(
        {
            "features": {
                "t": {**PASS, "output_functions": both},
                "alone": {**PASS, "output_functions": both, "noise": "per-image"},
            },
            "methods": {
                "trak": {"method": "trak", "features": "t/loss"},
                "trak-alone": {"method": "trak", "features": "alone/loss"},
            },
            "sweeps": {
                "s": {
                    "method": "kernel",
                    "features": "t/loss",
                    "over": {"output_function": ["mean"]},
                }
            },
            "report.published": "cifar2",
        }
    )
    values = {"trak": 0.1, "trak-alone": 0.2, "s-mean": 0.3}
    results = {n: made_up_result(value) for n, value in values.items()}
    found = msgspec.to_builtins(published.beside(made, {"val": results, "gen": {}}))
    rows = [row["ours"] for row in found["rows"] if row["ours"]]
    assert [row["name"] for row in rows] == ["trak", "trak-alone"]
    assert [row["lds"] for row in rows] == [0.1, 0.2]
    constructions = [row for row in found["constructions"] if row["ours"]]
    assert [(row["output_function"], row["ours"]["name"]) for row in constructions] == [
        ("loss", "trak"),
        ("loss", "trak-alone"),
        ("mean", "s-mean"),
    ]
    assert {row["n_timesteps"] for row in constructions} == {10}
    assert {row["split"] for row in constructions} == {"val"}


@pytest.fixture
def shown(make_folder):
    """A made-up benchmark whose config names a data set."""
    folder = make_folder()
    written = folder.benchmark.written
    report = msgspec.structs.replace(written.report, published="cifar2")
    named = type(folder.benchmark)(msgspec.structs.replace(written, report=report))
    return folder, gather(named, Inputs(input_files(named)))


def test_ours_stand_beside_the_published_with_the_interval_over_subsets(shown):
    folder, report = shown
    numbers = msgspec.to_builtins(report)
    rows = {
        (row["split"], row["method"]): row
        for row in numbers["published"]["rows"]
        if row["ours"] is not None
    }
    # Of the made-up methods, those on passes of 4 and 8 timesteps have no published figure.
    assert set(rows) == {(split, m) for split in ("val", "gen") for m in ("random", "pixel-dot")}
    for (split, method), row in rows.items():
        own = folder.lds[split][row["ours"]["name"]]
        assert row["ours"]["name"] == method
        assert row["ours"]["lds"] == own["lds"]
        assert row["ours"]["oracle_lds"] == own["oracle"]["lds"]
        assert list(row["ours"]["interval"]) == own["interval"]["subsets"]
    assert len(numbers["published"]["rows"]) == len(published.read("cifar2").lds)


def test_the_page_says_where_the_benchmark_is_another(shown, images):
    _, report = shown
    differences = msgspec.to_builtins(report.published.differences)
    differing = {row["key"]: row for row in differences}
    assert differing["data.n_train"] == {"key": "data.n_train", "published": 5000, "here": 12}
    assert differing["measurement.subsets.lds.seeds"]["here"] == 2
    assert differing["features.t4.projector.k"] == {
        "key": "features.t4.projector.k",
        "published": 32768,
        "here": 256,
    }
    assert "measurement.subsets.lds.fraction" not in differing
    html = page.html(report, images)
    assert html.count("Published numbers beside ours") == 1
    assert ">32768</td>" in html
    assert ">0.342</td>" in html  # D-TRAK with 100 timesteps, val
    assert "0.339 to 0.345" in html
    alike = msgspec.structs.replace(report.published, differences=[])
    same = msgspec.structs.replace(report, published=alike)
    assert "are those of the published benchmark" in page.html(same, images)


def test_a_config_that_names_no_data_set_has_no_published_numbers(numbers, html):
    assert numbers["published"] is None
    assert "Published numbers" not in html


def test_the_names_of_a_config_are_typed_once():
    report = msgspec.structs.fields(type(benchmark().config.report))
    (field,) = [field for field in report if field.name == "published"]
    assert sorted(get_args(get_args(field.type)[0])) == NAMES


def test_every_correlation_is_one():
    for name in NAMES:
        found = published.read(name)
        values = [value for curve in found.curves for value in curve.lds]
        assert np.abs(values).max() < 0.5
