"""The configs that ship: each is valid, and those that belong together stay together."""

import pytest
from changed_config import REPOSITORY, benchmark, raw

CONFIGS = [
    "config.yaml",
    *sorted(f"configs/{p.name}" for p in (REPOSITORY / "configs").glob("*.yaml")),
]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_ships_is_a_benchmark(name):
    assert benchmark(name=name).methods


def test_the_counterfactual_config_is_the_default_one_with_one_more_section():
    default, more = raw(name="config.yaml"), raw(name="configs/digits-counterfactual.yaml")
    assert default.pop("counterfactual") is None
    assert more.pop("counterfactual")["methods"][0] == "random"
    assert default == more
