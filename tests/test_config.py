"""Config errors are sentences that name the key."""

import json

import pytest
import yaml
from changed_config import CONFIGS, DELETED, REPOSITORY, config, put, raw, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.config import Config, ConfigError
from diffattr.schema import CONFIG, schema_text

DEFAULT = "config.yaml"

# Required keys, written by hand; * stands for any name.
NEEDED = {"name", "data", "model", "methods", "data.source", "methods.*.method"}
NEEDED |= {"training.epochs", "training.batch_size", "training.learning_rate"}
NEEDED |= {"measurement.subsets", "measurement.losses", "measurement.losses.n_timesteps"}
NEEDED |= {"measurement.subsets.lds", "sampling.n_images"}
NEEDED |= {"methods.*.ensemble.of", "methods.*.ensemble.count"}
NEEDED |= {
    f"measurement.subsets.{group}.{key}"
    for group in ("lds", "retrain")
    for key in ("count", "fraction", "seeds")
}
NEEDED |= {f"features.*.{key}" for key in ("n_timesteps", "noise", "output_functions")}
NEEDED |= {"features.*.projector", "features.*.projector.kind", "embeddings.*.kind"}
# Missing too, but only seen once everything else fits: nothing could fill them in.
NOT_COMPLETED = {"data.n_train"}
NULLABLE = {"classes", "folder", "k", "features", "curvature", "embedding", "checkpoints"}
NULLABLE |= {"ensemble", "models", "counterfactual", "hub", "lambda"}
# Mappings whose keys are names of the user's choice.
NAMED = {("features",), ("methods",), ("embeddings",), ("curvatures",), ("sweeps",)}
NAMED |= {("measurement", "lds", "query_lists")}


def walk(tree, path=()):
    """Yield (path, value) of everything in a config, top first."""
    yield path, tree
    members = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, value in members:
        yield from walk(value, (*path, key))


def is_free(path):
    """Whether a registry checks a path, not the schema: options of networks and methods."""
    return path[:2] == ("model", "config") or "options" in path[:-1] or path[-1:] == ("options",)


EVERYTHING = [(path, value) for path, value in walk(raw(name=DEFAULT)) if not is_free(path)]
# A missing section is not a leaf.
LEAVES = [
    path
    for path, value in EVERYTHING
    if not isinstance(value, dict | list) and path != ("counterfactual",)
]


def is_needed(path, needed=NEEDED):
    place = [str(key) for key in path]
    if path[:-1] and path[:1] in NAMED:
        place[1] = "*"
    return ".".join(place) in needed


def is_section(path):
    """Whether the mapping at a path rejects unknown keys."""
    return path not in NAMED


REQUIRED = [
    path
    for path, _ in EVERYTHING
    if path and isinstance(path[-1], str) and path[:-1] not in NAMED and is_needed(path)
]
SECTIONS = [path for path, value in EVERYTHING if isinstance(value, dict) and is_section(path)]


def dotted(path):
    return ".".join(map(str, path))


def errors_of(tree):
    with pytest.raises(ConfigError) as caught:
        read_config(tree, schema(), DEFAULT)
    return str(caught.value).splitlines()


def with_value(path, value):
    tree = raw(name=DEFAULT)
    put(tree, list(path), value)
    return tree


def says(lines, path, *words):
    """Whether a line starts with the source and the path, and has the words."""
    return any(
        line.startswith(f"{DEFAULT}: {dotted(path)}: ") and all(word in line for word in words)
        for line in lines
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_in_the_repository_is_right(name):
    found = config(name=name)
    assert isinstance(found, Config)
    Benchmark(found)


def test_the_schema_file_is_the_one_that_the_types_and_registries_give():
    found = (REPOSITORY / "schemas" / CONFIG).read_text(encoding="utf-8")
    assert found == schema_text(), "run make schema"


def test_the_values_are_those_of_the_file():
    found = config(name=DEFAULT)
    tree = raw(name=DEFAULT)
    assert found.training.betas == tuple(tree["training"]["betas"])
    assert found.features["t10"].projector.k == tree["features"]["t10"]["projector"]["k"]
    assert found.model.config == tree["model"]["config"]
    assert found.methods["random"].features is None


@given(st.sampled_from(REQUIRED))
@settings(deadline=None, max_examples=len(REQUIRED))
def test_a_missing_key_is_named(path):
    lines = errors_of(with_value(path, DELETED))
    assert says(lines, path, "missing")
    assert len(lines) == 1


OPTIONAL = [
    path
    for path, _ in EVERYTHING
    if path
    and isinstance(path[-1], str)
    and path[:-1] not in NAMED
    and not is_needed(path, NEEDED | NOT_COMPLETED)
]


@given(st.sampled_from(OPTIONAL))
@settings(deadline=None)
def test_an_optional_key_may_be_left_out(path):
    read_config(with_value(path, DELETED), schema(), DEFAULT)


@pytest.mark.parametrize("key", sorted(NOT_COMPLETED))
def test_a_key_that_nothing_completes_is_named(key):
    assert errors_of(with_value(key.split("."), DELETED)) == [
        f"{DEFAULT}: {key}: this key is missing"
    ]


@given(st.sampled_from(SECTIONS), st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
@settings(deadline=None)
def test_an_unknown_key_is_named(section, key):
    key = f"{key}_unknown"
    lines = errors_of(with_value((*section, key), 1))
    assert says(lines, (*section, key), "unknown key")
    assert len(lines) == 1


WRONG = st.sampled_from([{"a": 1}, [[1]], "some text", True, 1.5, None])


def is_acceptable(present, key, value):
    """Whether a value of this type may be allowed in place of the present one."""
    if value is None:
        return present is None or key in NULLABLE
    if isinstance(present, bool) or isinstance(value, bool):
        return isinstance(present, bool) and isinstance(value, bool)
    if isinstance(present, float) or key == "save_state_every_s":
        return isinstance(value, int | float)
    return type(value) is type(present)


@given(st.sampled_from(LEAVES), WRONG)
@settings(deadline=None, max_examples=500)
def test_a_value_of_the_wrong_type_is_named(path, value):
    present = dict(EVERYTHING)[path]
    if is_acceptable(present, path[-1], value):
        return
    lines = errors_of(with_value(path, value))
    if path == ("data", "classes") and isinstance(value, list):
        path, value = (*path, 0), value[0]  # a list is right there, its member is not
    assert says(lines, path, json.dumps(value)) or says(lines, path, str(value))


@given(st.sampled_from([path for path, value in EVERYTHING if isinstance(value, dict | list)]))
@settings(deadline=None)
def test_a_section_or_list_that_is_a_number_is_named(path):
    lines = errors_of(with_value(path, 7) if path else 7)
    assert says(lines, path or ("(top level)",), "found 7")


@pytest.mark.parametrize("tree", [None, [], "text", 3])
def test_a_file_that_is_no_mapping_is_refused(tree):
    assert says(errors_of(tree), ("(top level)",), "expected object")


LONG_KEYS = [
    path for path in REQUIRED if len(path[-1]) >= 5 and is_section(path[:-1]) and path[:-1] != ()
]


@given(st.sampled_from(LONG_KEYS), st.data())
@settings(deadline=None)
def test_a_key_with_a_letter_missing_is_recognised(path, data):
    key = path[-1]
    place = data.draw(st.integers(0, len(key) - 1))
    misspelt = key[:place] + key[place + 1 :]
    tree = with_value(path, DELETED)
    put(tree, [*path[:-1], misspelt], dict(EVERYTHING)[path])
    lines = errors_of(tree)
    assert says(lines, (*path[:-1], misspelt), f"did you mean {key!r}?")
    assert says(lines, path, "missing")


@pytest.mark.parametrize(
    ("path", "value", "suggestion"),
    [
        ("methods.trak-10.method", "track", "trak"),
        ("methods.random.method", "gradient-cosin", "gradient-cosine"),
        ("data.source", "fashion-minst", "fashion-mnist"),
        ("features.t10.projector.kind", "sjtl", "sjlt"),
        ("noise_schedule.beta_schedule", "linaer", "linear"),
    ],
)
def test_a_misspelt_name_lists_what_is_allowed_and_the_closest(path, value, suggestion):
    (line,) = errors_of(with_value(path.split("."), value))
    assert line.startswith(f'{DEFAULT}: {path}: found "{value}", allowed: ')
    assert line.endswith(f"did you mean {suggestion!r}?")


def test_an_exponent_that_yaml_reads_as_a_text_is_explained():
    value = yaml.safe_load("1e-3")
    assert value == "1e-3"  # YAML 1.1 wants a point in the mantissa
    (line,) = errors_of(with_value(("training", "learning_rate"), value))
    assert "YAML reads 1e-3 as a string; write 0.001" in line
    assert yaml.safe_load("0.001") == 1e-3


@pytest.mark.parametrize("text", ["fast", "nan", "inf"])
def test_a_text_that_is_no_number_gets_no_such_hint(text):
    (line,) = errors_of(with_value(("training", "learning_rate"), text))
    assert "YAML" not in line


def test_a_quoted_whole_number_is_explained_with_one_that_is_taken():
    (line,) = errors_of(with_value(("training", "epochs"), "100"))
    assert line.endswith("write 100)")


@pytest.mark.parametrize(
    ("path", "value", "bound"),
    [
        ("training.epochs", 0, "at least 1"),
        ("data.n_train", 1, "at least 2"),
        ("seed", -1, "at least 0"),
        ("training.learning_rate", 0.0, "more than 0"),
        ("training.warmup_fraction", 1.1, "at most 1"),
        ("measurement.subsets.lds.fraction", 1.0, "less than 1"),
        ("measurement.subsets.lds.fraction", 0, "more than 0"),
        ("measurement.lds.folds", 1, "at least 2"),
        ("measurement.lds.confidence", 1, "less than 1"),
        ("training.betas.1", 1.0, "less than 1"),
        ("jobs.gpus", -1, "at least 0"),
        ("features.t10.projector.k", 0, "at least 1"),
    ],
)
def test_a_number_out_of_range_says_the_bound(path, value, bound):
    keys = [int(key) if key.isdigit() else key for key in path.split(".")]
    (line,) = errors_of(with_value(keys, value))
    assert line == f"{DEFAULT}: {path}: found {value}, allowed: {bound}"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("measurement.subsets.lds.seeds", [], "at least 1"),
        ("measurement.subsets.lds.seeds", [0, 0], "only once"),
        ("measurement.lambdas.relative", [1.0, 1.0], "only once"),
        ("features.t10.output_functions", ["loss", "loss"], "only once"),
        ("methods", {}, "at least 1"),
        ("training.betas", [0.9], "at least 2"),
        ("training.betas", [0.9, 0.9, 0.9], "at most 2"),
        ("name", "My Benchmark", "lower-case letters, digits and -"),
        ("name", "../escape", "lower-case letters, digits and -"),
        ("name", "line\n", "lower-case letters, digits and -"),
        ("data.classes", [-1], "at least 0"),
    ],
)
def test_lists_and_names_out_of_range_say_so(path, value, words):
    (line,) = errors_of(with_value(path.split("."), value))
    assert line.startswith(f"{DEFAULT}: {path}")
    assert words in line


def test_a_name_of_a_pass_that_is_no_file_name_is_refused():
    tree = raw(name=DEFAULT)
    tree["features"]["T 10/x"] = tree["features"]["t10"]
    (line,) = errors_of(tree)
    assert line.startswith(f"{DEFAULT}: features: ")
    assert '"T 10/x"' in line


def test_the_word_no_must_be_quoted():
    assert yaml.safe_load("no") is False
    (line,) = errors_of(with_value(("training", "mixed_precision"), False))
    assert "training.mixed_precision: found false, allowed: bf16, fp16, no" in line


@given(st.lists(st.sampled_from(LEAVES), unique=True, min_size=2, max_size=6))
@settings(deadline=None)
def test_several_errors_are_all_reported_at_once(paths):
    tree = raw(name=DEFAULT)
    for path in paths:
        put(tree, list(path), {"no": "mapping here"})
    tree["unknown"] = 1
    del tree["measurement"]["losses"]
    paths = [path for path in paths if path[:2] != ("measurement", "losses")]
    lines = errors_of(tree)
    assert all(says(lines, path) for path in paths)
    assert says(lines, ("unknown",), "unknown key")
    assert says(lines, ("measurement", "losses"), "missing")
    assert len(lines) == len(set(lines))


def test_an_error_of_every_kind_is_reported_at_once():
    tree = raw(name=DEFAULT)
    tree["training"]["epochs"] = 0
    tree["training"]["lerning_rate"] = tree["training"].pop("learning_rate")
    tree["data"]["source"] = "digit"
    tree["name"] = 5
    lines = errors_of(tree)
    wanted = [("training", "epochs"), ("training", "lerning_rate"), ("training", "learning_rate")]
    wanted += [("data", "source"), ("name",)]
    assert all(says(lines, path) for path in wanted)
    assert len(lines) == len(wanted)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("training", "epochs"), "100.0"),
        (("training", "learning_rate"), ".nan"),
        (("training", "learning_rate"), ".inf"),
        (("features", 10), "{n_timesteps: 1}"),
        (("methods", True), "{method: random}"),
        (("name",), "2024-01-01"),
        (("data", "classes"), "[2024-01-01]"),
    ],
    ids=lambda value: value if isinstance(value, str) else dotted(value),
)
def test_odd_values_that_yaml_can_hold_are_refused_in_a_sentence(path, text):
    tree = with_value(path, yaml.safe_load(text))
    if path[0] == "features":
        tree["features"]["another"] = {"n_timesteps": 0}  # keys of two types do not sort
    text = "\n".join(errors_of(tree))
    assert dotted(path) in text


@pytest.mark.parametrize("epochs", [1, 7])
@pytest.mark.parametrize(("n_images", "batch_size"), [(16, 16), (17, 16), (15, 16), (1, 3), (9, 3)])
def test_the_number_of_steps_is_that_of_a_loop_over_batches(epochs, n_images, batch_size):
    training = config({"training.epochs": epochs, "training.batch_size": batch_size}).training
    steps = sum(1 for _ in range(epochs) for _ in range(0, n_images, batch_size))
    assert training.n_steps(n_images) == steps
