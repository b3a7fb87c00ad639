"""Params of jobs: what they hold, and what they do not depend on."""

import json

import msgspec
from changed_config import benchmark, config
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.benchmark import Benchmark
from diffattr.versions import RESULT_VERSION


def test_params_hold_what_they_are_given_and_the_stage_s_version():
    smoke = benchmark()
    text = smoke.params("losses", losses=smoke.config.measurement.losses, seed=3)
    assert json.loads(text) == {
        "losses": {"n_timesteps": 5, "draws": 1},
        "seed": 3,
        "version": RESULT_VERSION["losses"],
    }


def test_params_follow_neither_name_nor_sizes_that_they_are_not_given():
    def text(changes):
        changed = benchmark(changes)
        return changed.params("losses", losses=changed.config.measurement.losses)

    unrelated = {
        "name": "other",
        "training.epochs": 9,
        "jobs.threads": 2,
        "measurement.losses.n_timesteps": 5,
    }
    assert text(unrelated) == text({})
    assert text({"measurement.losses.draws": 2}) != text({})


SMOKE = config()
VALUES = st.dictionaries(
    st.from_regex(r"[a-u]{1,6}", fullmatch=True),
    st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=3),
    max_size=5,
)


@given(VALUES, st.randoms(use_true_random=False))
def test_params_do_not_depend_on_the_order_of_keys(values, random):
    smoke = Benchmark(SMOKE)
    items = list(values.items())
    random.shuffle(items)
    assert smoke.params("data", **dict(items)) == smoke.params("data", **values)
    nested = {"inner": dict(items)}
    assert smoke.params("data", **nested) == smoke.params("data", inner=values)


def test_params_do_not_depend_on_the_order_of_the_network_s_options():
    model = config().model
    turned = msgspec.structs.replace(model, config=dict(reversed(model.config.items())))
    smoke = benchmark()
    assert smoke.params("training", model=turned) == smoke.params("training", model=model)


@given(VALUES, VALUES)
@settings(max_examples=50)
def test_different_params_are_different_texts(first, second):
    smoke = Benchmark(SMOKE)
    same = first == second
    assert (smoke.params("data", **first) == smoke.params("data", **second)) == same


def test_the_version_of_a_stage_is_part_of_its_params_and_of_no_other_s(monkeypatch):
    smoke = benchmark()
    features, losses = smoke.params("features", x=1), smoke.params("losses", x=1)
    monkeypatch.setitem(RESULT_VERSION, "features", RESULT_VERSION["features"] + 1)
    assert smoke.params("features", x=1) != features
    assert smoke.params("losses", x=1) == losses
