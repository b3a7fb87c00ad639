"""Sweeps expand to passes and methods, and reuse existing passes."""

import itertools

import pytest
from changed_config import assert_refused, benchmark, raw, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.benchmark.completion import read_config
from diffattr.config import ConfigError

BASE = {"method": "kernel", "features": "t4/loss"}


def swept(over, changes=None, **sweep):
    sweeps = {"mine": {**BASE, **sweep, "over": over}}
    return benchmark({"sweeps": sweeps, **(changes or {})})


def test_every_combination_is_a_method_on_a_pass_of_its_settings():
    over = {"output_function": ["loss", "mean"], "n_timesteps": [4, 6], "k": [256, 128]}
    made = swept(over)
    combinations = list(itertools.product(*over.values()))
    assert [tuple(cell.values.values()) for cell in made.cells] == combinations
    for cell, (output_function, n_timesteps, k) in zip(made.cells, combinations, strict=True):
        method = made.methods[cell.method]
        gradient_pass, found = method.feature_set
        assert found == output_function
        chosen = made.config.features[gradient_pass]
        assert (chosen.n_timesteps, chosen.projector.k) == (n_timesteps, k)
        assert (chosen.noise, chosen.projector.kind) == ("common", "sjlt")  # as in t4
        assert output_function in chosen.output_functions


def test_a_pass_that_is_there_is_read_and_others_share_their_forward_pass():
    made = swept({"output_function": ["loss", "mean", "l2-norm"], "n_timesteps": [4, 6]})
    passes = {cell.method: made.methods[cell.method].feature_set for cell in made.cells}
    assert passes == {
        "mine-loss-t4": ("t4", "loss"),
        "mine-loss-t6": ("mine-t6", "loss"),
        "mine-mean-t4": ("mine-t4", "mean"),
        "mine-mean-t6": ("mine-t6", "mean"),
        "mine-l2-norm-t4": ("mine-t4", "l2-norm"),
        "mine-l2-norm-t6": ("mine-t6", "l2-norm"),
    }
    assert made.config.features["mine-t4"].output_functions == ("mean", "l2-norm")
    assert made.config.features["mine-t6"].output_functions == ("loss", "mean", "l2-norm")


def test_two_sweeps_share_passes():
    sweeps = {
        "one": {**BASE, "over": {"n_timesteps": [6, 5]}},
        "two": {**BASE, "method": "gradient-dot", "over": {"n_timesteps": [6]}},
    }
    made = benchmark({"sweeps": sweeps})
    assert (
        made.methods["two-t6"].feature_set
        == ("one-t6", "loss")
        == (made.methods["one-t6"].feature_set)
    )


def test_checkpoints_and_projector_seeds_are_axes():
    made = swept({"checkpoint": [0.0, 0.5, 1.0], "projector_seed": [0, 3]})
    first = made.methods["mine-seed-0-at-0-5"]
    assert (first.feature_set, first.models) == (("t4", "loss"), ("full-step-9",))
    second = made.methods["mine-seed-3-at-1-0"]
    assert second.models == ("full",)
    assert made.config.features[second.feature_set[0]].projector.seed == 3


def test_the_config_as_written_and_its_methods_stay_as_they_are():
    plain, made = benchmark(), swept({"n_timesteps": [4, 6]})
    assert made.splits.named == list(plain.methods) == list(plain.config.methods)
    assert made.splits.methods_of("val") == plain.splits.methods_of("val")
    assert {name: made.methods[name] for name in plain.methods} == plain.methods
    assert set(made.written.features) == {"t4", "t8"}


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=4, unique=True))
@settings(max_examples=30, deadline=None)
def test_there_is_one_pass_per_number_of_timesteps(counts):
    made = swept({"n_timesteps": counts})
    found = [made.config.features[made.methods[c.method].feature_set[0]] for c in made.cells]
    assert [chosen.n_timesteps for chosen in found] == counts
    assert len(made.config.features) == 2 + len(set(counts) - {4})


IMPOSSIBLE = {
    "nothing to vary": ({"over": {}}, "over", "nothing at least one"),
    "lambda alone": ({"over": {"lambda": [0.1]}}, "over", "in addition to lambda"),
    "a lambda off the grid": (
        {"over": {"n_timesteps": [4], "lambda": [0.3]}},
        "over.lambda",
        "0.3 lambdas.relative",
    ),
    "a lambda where there is none": (
        {"method": "gradient-dot", "over": {"n_timesteps": [4], "lambda": [0.1]}},
        "over.lambda",
        "gradient-dot has no lambda",
    ),
    "a lambda where the damping is fixed": (
        {"method": "ekfac", "over": {"n_timesteps": [4], "lambda": [0.1]}},
        "over.lambda",
        "ekfac has no lambda",
    ),
    "too many timesteps": ({"over": {"n_timesteps": [4, 1001]}}, "over.n_timesteps", "1001 1000"),
    "a checkpoint that is not kept": (
        {"over": {"checkpoint": [0.25]}},
        "over.checkpoint",
        "0.25 full_model.checkpoints",
    ),
    "a k that nonzeros do not divide": (
        {"over": {"k": [255]}, "changes": {"features.t4.projector.nonzeros": 2}},
        "over.nonzeros",
        "2 255",
    ),
    "a method for another output function": (
        {"method": "trak", "over": {"output_function": ["loss", "mean"]}},
        "over.output_function",
        "loss, mean trak kernel",
    ),
    "a method without features": (
        {"method": "pixel-dot", "over": {"n_timesteps": [4]}},
        "method",
        "pixel-dot no features",
    ),
    "features that are not there": (
        {"features": "t5/loss", "over": {"n_timesteps": [4]}},
        "features",
        "t5/loss t4/loss",
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_impossible_is_refused_in_one_line_that_starts_with_the_key(what):
    options, key, words = IMPOSSIBLE[what]
    assert_refused(lambda: swept(**options), key=f"sweeps.mine.{key}", words=words)


def test_a_cell_with_the_name_of_a_method_is_refused():
    changes = {"methods.mine-t6": {"method": "random"}}
    with pytest.raises(ConfigError, match=r"^sweeps\.mine: .* name of method mine-t6"):
        swept({"n_timesteps": [6]}, changes)


def test_an_unknown_axis_is_named_with_those_that_are_known():
    sweeps = {"mine": {**BASE, "over": {"timesteps": [4]}}}
    with pytest.raises(ConfigError) as caught:
        read_config(raw({"sweeps": sweeps}), schema(), "x.yaml")
    line = str(caught.value)
    assert line.startswith("x.yaml: sweeps.mine.over.timesteps: unknown key; did you mean 'n_time")
    assert "lambda" in line


def test_queries_of_a_list_must_exist():
    lists = {"far": {"split": "val", "queries": [0, 12]}}
    with pytest.raises(ConfigError) as caught:
        benchmark({"measurement.lds.query_lists": lists})
    assert str(caught.value) == (
        "measurement.lds.query_lists.far.queries: found 12, split val has queries 0 to 11"
    )
    benchmark({"measurement.lds.query_lists": {"near": {"split": "val", "queries": [11]}}})
