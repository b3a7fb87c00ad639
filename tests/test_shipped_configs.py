"""The configs that ship: those that belong together stay together."""

from changed_config import raw


def test_the_counterfactual_config_is_the_default_one_with_one_more_section():
    default, more = raw(name="config.yaml"), raw(name="configs/digits-counterfactual.yaml")
    assert default.pop("counterfactual") is None
    assert more.pop("counterfactual")["methods"][0] == "random"
    assert default == more
