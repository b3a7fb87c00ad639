"""Configs that extend others: the merged result, and the errors."""

import pytest
import yaml
from changed_config import CONFIGS, OWN_MODELS, REPOSITORY, SHIPPED, raw
from hypothesis import given
from hypothesis import strategies as st

from diffattr.config import ConfigError, extended


def write(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def laid_over(tmp_path, changes, *others):
    names = [write(tmp_path / f"{n}.yaml", other).name for n, other in enumerate(others)]
    content = {"extends": names if len(names) > 1 else names[0], **changes}
    return extended(content, [write(tmp_path / "this.yaml", content)])


def test_the_counterfactual_config_is_the_default_one_with_one_more_section():
    default, more = raw(name="config.yaml"), raw(name="configs/digits-counterfactual.yaml")
    assert default.pop("counterfactual") is None
    assert more.pop("counterfactual")["methods"][0] == "random"
    assert default == more


def test_a_file_without_a_name_is_there_to_be_extended():
    used = set()
    for name in SHIPPED:
        path = REPOSITORY / name
        extends = yaml.safe_load(path.read_text()).get("extends", [])
        for other in [extends] if isinstance(extends, str) else extends:
            used.add((path.parent / other).resolve().relative_to(REPOSITORY.resolve()).as_posix())
    assert set(SHIPPED) - set(CONFIGS) - set(OWN_MODELS) <= used


def test_mappings_are_merged_and_lists_replaced(tmp_path):
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert laid_over(tmp_path, {"a": {"c": [3]}}, base) == {"a": {"b": 1, "c": [3]}, "d": 3}


def test_null_removes_what_is_there_and_stays_where_there_is_nothing(tmp_path):
    base = {"methods": {"nda": {"method": "nda"}, "random": {"method": "random"}}, "d": {"e": 1}}
    changes = {"methods": {"nda": None}, "d": None, "classes": None}
    assert laid_over(tmp_path, changes, base) == {
        "methods": {"random": {"method": "random"}},
        "classes": None,
    }


def test_of_several_files_the_later_one_counts(tmp_path):
    found = laid_over(tmp_path, {"c": 3}, {"a": 1, "b": 1}, {"b": 2, "c": 2})
    assert found == {"a": 1, "b": 2, "c": 3}


VALUES = st.recursive(
    st.integers() | st.booleans() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
TREES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(TREES, TREES)
def test_what_a_config_says_is_what_stands_there_in_the_end(tmp_path_factory, base, changes):
    found = laid_over(tmp_path_factory.mktemp("extends"), changes, base)

    def assert_says(tree, wanted):
        for key, value in wanted.items():
            if isinstance(value, dict) and isinstance(tree[key], dict):
                assert_says(tree[key], value)
            else:
                assert tree[key] == value

    assert_says(found, changes)
    assert {key: found[key] for key in set(base) - set(changes)} == {
        key: base[key] for key in set(base) - set(changes)
    }


def test_a_config_that_extends_none_stays_as_it_is(tmp_path):
    for content in ({"a": {"b": None}}, None, [], "text"):
        assert extended(content, [tmp_path / "none.yaml"]) == content


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        ("missing.yaml", "missing.yaml cannot be read"),
        ("list.yaml", "list.yaml is not a mapping"),
        ("broken.yaml", "broken.yaml cannot be read"),
        ("chain.yaml", "chain.yaml itself extends other.yaml; list both files"),
        (3, "found 3, expected paths of config files"),
        ([3], "found [3], expected paths of config files"),
        (None, "found None, expected paths of config files"),
    ],
)
def test_what_cannot_be_extended_is_one_sentence(tmp_path, extends, words):
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "broken.yaml").write_text("{")
    write(tmp_path / "chain.yaml", {"extends": "other.yaml"})
    this = write(tmp_path / "this.yaml", {"extends": extends})
    with pytest.raises(ConfigError) as caught:
        extended({"extends": extends}, [this])
    assert str(caught.value).startswith("extends: ")
    assert words in str(caught.value)
