"""Code from outside: found, allowed, held against its contract, and part of a job's params."""

import hashlib
import json
import os
import sys
import textwrap
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from changed_config import SCHEMA_FILE, assert_refused, benchmark, config, raw, schema
from data_sets import section

from diffattr import plugins
from diffattr.artifacts import write_array
from diffattr.attribution import METHODS, configured, method_of
from diffattr.attribution.method import answer, with_options
from diffattr.benchmark.completion import read_config
from diffattr.config import ConfigError, NoiseSchedule, Pass, ProjectorOptions
from diffattr.data import data_source
from diffattr.data.source import Source, UnreadableError
from diffattr.features.gradients import GradientPass
from diffattr.features.output_functions import OUTPUT_FUNCTIONS, Denoising, output_function
from diffattr.plugins import PluginError


def forget():
    """Forget what was loaded, as a new process would."""
    plugins.load.cache_clear()
    plugins.identity.cache_clear()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with nothing imported from it before or after."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv(plugins.ALLOWED, raising=False)
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.fixture
def write(folder, monkeypatch):
    """Write a module, allowed unless a test says otherwise."""

    def written(text, name="my_module", allowed=True):
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        if allowed:
            monkeypatch.setenv(plugins.ALLOWED, name)
        return path

    return written


@pytest.fixture
def install(folder, monkeypatch):
    """Put a package onto Python's path as an installer would, with its entry points."""

    def installed(text, entries, package="my_package", version="1.0"):
        site = folder / f"site-{package}"
        (site / f"{package}-{version}.dist-info").mkdir(parents=True)
        info = site / f"{package}-{version}.dist-info"
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}"
        )
        (info / "entry_points.txt").write_text(textwrap.dedent(entries))
        (site / f"{package}.py").write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(str(site))

    return installed


SUM = "def scores(train, queries): return queries @ train.T\n"
MINE = {"method": "my_module:scores", "features": "t4/loss"}


def with_method(**values):
    return {"methods.mine": {**MINE, **values}}


# --- found and allowed ------------------------------------------------------------------------


def test_a_function_of_a_file_is_a_method_that_reads_features(write):
    write(SUM)
    made = benchmark(with_method())
    planned = made.methods["mine"]
    assert (planned.kind, planned.needs) == ("my_module:scores", "gradients")
    assert not planned.has_lambda
    assert made.inputs.method("mine", "val") == made.inputs.method("gradient-dot-4", "val")
    train, queries = np.eye(3), np.arange(6.0).reshape(2, 3)
    assert np.array_equal(planned.method.attribute(train, queries).scores(None), queries)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (with_method(), "methods.mine.method"),
        ({"data.source": "my_module:load"}, "data.source"),
        ({"features.t4.output_functions": ["my_module:f"]}, "features.t4.output_functions"),
        (
            {
                "sweeps": {
                    "s": {"method": "my_module:f", "features": "t4/loss", "over": {"k": [64]}}
                }
            },
            "sweeps.s.method",
        ),
    ],
)
def test_a_config_alone_does_not_start_a_module(write, changes, key):
    write("raise SystemExit('imported')", allowed=False)
    if key.startswith("features"):
        changes = {**changes, "methods": {"random": {"method": "random"}}}
    assert_refused(benchmark, changes, key=key, words="DIFFATTR_PLUGINS=my_module trust")
    assert "my_module" not in sys.modules


@pytest.mark.parametrize(
    ("allowed", "passes"),
    [
        ("mine.sub", True),
        ("mine", True),
        ("other, mine", True),
        ("mine.su", False),
        ("min", False),
        ("mine.sub.more", False),
        ("", False),
        (",", False),
        ("*", False),
    ],
)
def test_a_package_allows_what_is_in_it_and_nothing_else(write, monkeypatch, allowed, passes):
    write("", "mine.__init__")
    write(SUM, "mine.sub")
    monkeypatch.setenv(plugins.ALLOWED, allowed)
    if passes:
        assert method_of("mine.sub:scores").reads == "features"
    else:
        with pytest.raises(PluginError, match=r"DIFFATTR_PLUGINS=mine\.sub"):
            method_of("mine.sub:scores")


@pytest.mark.parametrize("name", ["os.system:", ":f", "a b:c", "a:b:c", "a.:b", "a:b\n", "../x:y"])
def test_what_is_not_quite_module_and_object_is_a_misspelt_name(write, name):
    tree = raw(with_method(method=name))
    with pytest.raises(ConfigError) as caught:
        read_config(tree, schema(), "config.yaml")
    assert "methods.mine.method: found " in str(caught.value)
    assert "or a plug-in as module:object" in str(caught.value)


def test_a_name_of_an_installed_package_is_taken_and_imported_only_then(install):
    install(SUM, "[diffattr.methods]\nmy-sum = my_package:scores\n")
    benchmark()
    assert "my_package" not in sys.modules
    made = benchmark(with_method(method="my-sum"))
    assert "my_package" in sys.modules
    assert os.getcwd() not in sys.path
    assert made.methods["mine"].method.plugin == "my-sum"
    with pytest.raises(ConfigError, match="did you mean 'my-sum'"):
        config(with_method(method="my-sun"))


def test_installed_output_functions_and_data_sets_are_taken(install):
    install(
        "def half(denoising): return denoising.prediction.flatten(1).mean(1) / 2\n"
        "def load(folder): raise ValueError(folder)\n",
        "[diffattr.output_functions]\nhalf = my_package:half\n"
        "[diffattr.data_sources]\nmy-data = my_package:load\n",
    )
    changes = {
        "features.t4.output_functions": ["loss", "mean-squared-l2-norm", "half"],
        "methods.mine": {"method": "kernel", "features": "t4/half"},
        "data.source": "my-data",
        "sweeps": {
            "s": {
                "method": "kernel",
                "features": "t4/loss",
                "over": {"output_function": ["loss", "half"]},
            }
        },
    }
    made = benchmark(changes)
    assert made.methods["mine"].feature_set == ("t4", "half")
    assert "s-half" in made.methods


def test_our_names_are_ours(install):
    install(SUM, "[diffattr.methods]\ntrak = my_package:scores\n")
    assert method_of("trak") is METHODS["trak"]
    assert "my_package" not in sys.modules


def test_a_name_that_two_packages_have_is_refused(install):
    for package in ("first", "second"):
        install(SUM, f"[diffattr.methods]\nmy-sum = {package}:scores\n", package)
    with pytest.raises(PluginError, match=r"several packages provide it: first, second; keep one"):
        method_of("my-sum")


def test_a_job_where_a_package_is_not_installed_says_so(folder):
    with pytest.raises(PluginError, match=r"plug-in gone: no installed package .*diffattr.methods"):
        method_of("gone")


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (None, "my_module:scores", "there is no module my_module in the working directory"),
        ("", "my_module:scores", "module my_module has no scores"),
        ("import gone_for_good", "my_module:f", "raised ModuleNotFoundError: .*gone_for_good"),
        ("1 / 0", "my_module:f", "raised ZeroDivisionError: division by zero"),
        ("exit('bye')", "my_module:f", "raised SystemExit: bye"),
        ("def f(:", "my_module:f", "raised SyntaxError"),
        ("f = 3", "my_module:f", "found an object of type int; expected a function"),
        ("from os import system as f", "my_module:f", "comes from posix; expected a function that"),
        ("from numpy import dot as f", "my_module:f", "comes from numpy; expected a function that"),
        ("class f: pass", "my_module:f", "found the class f; .* not its class"),
        (
            "from diffattr.attribution.similarity import Dot as f",
            "my_module:f",
            "found the class Dot; .* an object of Similarity",
        ),
        (
            "from diffattr.attribution.similarity import Dot\nf = Dot(reads='losses')",
            "my_module:f",
            "its reads is 'losses', allowed: features, pixels, embedding",
        ),
    ],
)
def test_what_is_no_method_is_refused_in_words(write, monkeypatch, text, name, words):
    monkeypatch.setenv(plugins.ALLOWED, "my_module")
    if text is not None:
        write(text)
    with pytest.raises(PluginError, match=f"^plug-in {name}: {words}") as caught:
        method_of(name)
    assert "\n" not in str(caught.value)


# --- held against the contract ----------------------------------------------------------------

WRONG = {
    "raises": ("1 / 0", "raised ZeroDivisionError: division by zero"),
    "exits": ("exit()", "raised SystemExit"),
    "shape": ("np.zeros((2, 2))", r"returned shape \(2, 2\), expected \(\d.*\)"),
    "NaN": ("np.full(SHAPE, np.nan)", "returned NaN or infinity in (\\d+) of \\1 numbers"),
    "overflow": ("np.full(SHAPE, 1e300)", "returned NaN or infinity"),
    "type": ("[1.0]", "returned an object of type list, expected a NumPy array of numbers"),
    "complex": ("np.zeros(SHAPE, complex)", "returned array of complex128"),
    "text": ("np.full(SHAPE, 'a')", "returned array of <U1"),
}
# Base class, what is asked, the shape of the answer.
CONTRACTS = {
    "similarity": ("Similarity", "scores", (4, 5)),
    "kernel": ("KernelMethod", "train_weights", (5,)),
    "retraining": ("RetrainingMethod", "scores_from_losses", (4, 5)),
    "patches": ("PatchMethod", "maps", (6, 2, 2)),
}
OF_A_CLASS = """
from dataclasses import dataclass
import numpy as np
from diffattr.attribution.base import *
SHAPE = {shape}
@dataclass(frozen=True, kw_only=True)
class Mine({base}):
    reads: Reads = {reads!r}
    def {asked}(self, *given):
        return {answer}
    def scores_of_images(self, *given):
        pass
mine = Mine()
"""
OF_A_FUNCTION = """
import numpy as np
SHAPE = (4, 5)
def mine(train, queries):
    return {answer}
"""
READS = {"similarity": "pixels", "kernel": "features", "retraining": "losses", "patches": "pixels"}


def ask(contract, method):
    """Ask a method about 5 training images and 4 queries, as a job does."""
    train, queries = np.ones((5, 3), np.float32), np.ones((4, 3), np.float32)
    match contract:
        case "retraining":
            given = np.ones((6, 5), bool), np.ones((6, 4))
            return answer(method, method.scores_from_losses, *given, shape=(4, 5))
        case "patches":
            images = (np.zeros((n, 1, 2, 2), np.float32) for n in (5, 4))
            return method.top_maps(*images, np.ones((4, 5)), 3, 0.5)
    lam = 0.1 if method.has_lambda else None
    return method.attribute(train, queries).predictions([np.arange(5)] * 2, [lam])


@pytest.mark.parametrize("answered", WRONG)
@pytest.mark.parametrize("contract", ["function", *CONTRACTS])
def test_a_wrong_answer_of_any_contract_is_one_sentence_with_its_name(write, contract, answered):
    wrong, words = WRONG[answered]
    if contract == "function":
        write(OF_A_FUNCTION.format(answer=wrong))
    else:
        base, asked, shape = CONTRACTS[contract]
        text = OF_A_CLASS.format(
            base=base, asked=asked, shape=shape, reads=READS[contract], answer=wrong
        )
        write(text)
    with pytest.raises(PluginError, match=f"^plug-in my_module:mine: {words}"):
        ask(contract, method_of("my_module:mine"))


def test_an_object_keeps_its_options_and_its_lambda_path(write):
    write(
        """
        from dataclasses import dataclass, field
        import numpy as np
        from diffattr.attribution.base import OPTION, KernelMethod
        @dataclass(frozen=True, kw_only=True)
        class Mine(KernelMethod):
            power: float = field(default=1.0, metadata=OPTION)
            def train_weights(self, train, ridge):
                return train.lengths() ** -self.power
        mine = Mine()
        """
    )
    method = with_options(method_of("my_module:mine"), {"power": 0.5})
    assert method.has_lambda
    generator = np.random.default_rng(0)
    train, queries = generator.normal(size=(6, 4)), generator.normal(size=(2, 4))
    ridge = 0.1 * (train**2).sum(1).mean()
    inverse = np.linalg.inv(train.T @ train + ridge * np.eye(4))
    expected = [[q @ inverse @ x / (x @ x) ** 0.25 for x in train] for q in queries]
    # 1e-9: the same solve by an eigendecomposition.
    found = method.attribute(train, queries).scores(0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    made = benchmark(
        {"methods.mine": {**MINE, "method": "my_module:mine", "options": {"power": 2}}}
    )
    assert made.methods["mine"].has_lambda
    assert "kernels" in made.inputs.method("mine", "val")


OF_A_NEW_CONTRACT = """
from dataclasses import dataclass
import numpy as np
from diffattr.artifacts import read_array
from diffattr.attribution.method import Method, Reads
from diffattr.attribution.scores import DenseAttribution
@dataclass(frozen=True, kw_only=True)
class Oldest(Method):
    reads: Reads = "pixels"
    def errors(self, options, config):
        if config.noise_schedule.n_timesteps < 10:
            yield f"method: {options.method} needs 10 timesteps"
    def unanswered(self, split):
        return "is for real queries" if split == "gen" else None
    def inputs(self, split, files):
        return {"ages": files.indices("train"), "asked": files.indices(split)}
    def attribution(self, params, inputs):
        ages, asked = read_array(inputs.ages), read_array(inputs.asked)
        return DenseAttribution(np.subtract.outer(asked, ages).astype(float))
oldest = Oldest()
"""


def method_params(made, name):
    return json.loads(made.params.method(name))["method"]


def test_a_contract_of_a_plug_in_answers_all_that_a_benchmark_asks(write, folder):
    write(OF_A_NEW_CONTRACT)
    changes = {"methods.mine": {"method": "my_module:oldest"}}
    made = benchmark(changes)
    assert made.splits.of("mine") == ["val", "planted"]
    assert made.inputs.method("mine", "val") == {
        "ages": "results/smoke/indices/train.npy",
        "asked": "results/smoke/indices/val.npy",
    }
    with pytest.raises(ConfigError, match=r"^methods.mine: .* real queries; found split gen"):
        made.inputs.method("mine", "gen")
    assert made.splits.of("mine") == ["val", "planted"]
    assert made.splits.lds_of("mine") == ["val"]
    assert made.methods["mine"].needs == "no gradients"
    for name, values in (("ages", [1, 2, 3]), ("asked", [5])):
        write_array(folder / f"{name}.npy", np.array(values))
    files = SimpleNamespace(ages=folder / "ages.npy", asked=folder / "asked.npy")
    params = method_params(made, "mine")
    assert configured(params).attribution(params, files).scores(None).tolist() == [[4, 3, 2]]
    few = {**changes, "noise_schedule.n_timesteps": 9}
    few |= {f"{key}.n_timesteps": 2 for key in ("measurement.losses", "features.t4")} | {
        "sampling.n_steps": 2
    }
    assert_refused(benchmark, few, key="methods.mine.method", words="my_module:oldest 10 timesteps")


class Linear(torch.nn.Module):
    """A network with four parameters, whose answer is one of them per place."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.25]).reshape(1, 1, 2, 2))

    def forward(self, x, t, return_dict=True):
        found = self.weight * x
        return SimpleNamespace(sample=found) if return_dict else (found,)


def features(name, **values):
    options = Pass(
        n_timesteps=3,
        noise="common",
        output_functions=(name,),
        projector=ProjectorOptions(kind="none"),
        **values,
    )
    schedule = msgspec.convert(raw()["noise_schedule"], NoiseSchedule)
    images = np.random.default_rng(0).normal(size=(2, 1, 2, 2)).astype(np.float32)
    taken = GradientPass(Linear(), schedule, options, 1)
    return taken.features(images, np.array([3, 5]), "val")[name]


@pytest.mark.parametrize("unit_gradients", [False, True])
def test_an_output_function_of_a_file_has_the_gradient_of_ours(write, unit_gradients):
    write("def f(denoising): return denoising.prediction.pow(2).flatten(1).mean(1)")
    found = features("my_module:f", unit_gradients=unit_gradients)
    assert found.any()
    expected = features("mean-squared-l2-norm", unit_gradients=unit_gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("unit_gradients", [False, True])
@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("d.prediction.mean()", r"returned shape \(\), \(\d,\) expected, one number per image"),
        ("d.prediction", r"returned shape \(\d, 1, 2, 2\), \(\d,\) expected"),
        ("3.0", "returned an object of type float, a tensor expected"),
        ("d.noise.flatten(1).mean(1)", "what it returns does not depend on the prediction"),
        (
            "(d.prediction * float('nan')).flatten(1).mean(1)",
            "its gradient has NaN or infinity for 2 of 2 images of split val",
        ),
    ],
)
def test_a_wrong_output_function_is_one_sentence(write, answered, words, unit_gradients):
    write(f"def f(d): return {answered}")
    with pytest.raises(PluginError, match=f"^plug-in my_module:f: {words}"):
        features("my_module:f", unit_gradients=unit_gradients)


def test_an_output_function_of_a_file_is_measured_by_naming_it(write):
    write("def f(denoising): return denoising.prediction.flatten(1).mean(1)")
    made = benchmark({"measurement.lds.also_measured": ["weighted-mse", "my_module:f"]})
    assert made.models.quantities("lds") == ["loss", "weighted-mse", "my_module:f"]
    assert made.models.evaluated("lds") == ["loss", "my_module:f"]
    zeros, weight = torch.zeros(3, 1, 2, 2), torch.ones(3)
    with torch.inference_mode():
        found = output_function("my_module:f")(Denoising(zeros + 2, zeros, weight))
    assert found.tolist() == [2, 2, 2]


def test_an_output_function_that_cannot_be_called_is_refused_before_anything_runs(write):
    write("f = 3")
    with pytest.raises(PluginError, match="found an object of type int; expected a function"):
        output_function("my_module:f")


def test_our_output_functions_and_data_sets_are_given_as_they_are():
    assert output_function("loss") is OUTPUT_FUNCTIONS["loss"]
    assert output_function("loss")(Denoising(*torch.zeros(2, 1, 1, 1, 1), torch.ones(1))) == 0
    assert len(data_source("digits")(section("digits")).labels) == 1797


def test_a_config_cannot_hand_a_text_to_what_a_module_imports(write):
    write("from os import system")
    changes = {"data.source": "my_module:system", "data.folder": "touch started"}
    words = "comes from posix; expected a function that its module defines"
    assert_refused(benchmark, changes, key="data.source", words=words)


def test_a_package_may_gather_what_its_modules_define(write, monkeypatch):
    write("from mine.sub import scores", "mine.__init__")
    write(SUM, "mine.sub")
    monkeypatch.setenv(plugins.ALLOWED, "mine")
    assert method_of("mine:scores").reads == "features"


def test_a_data_set_of_a_file_is_loaded_from_its_folder(write):
    write(
        """
        import numpy as np
        from diffattr.data.in_memory import in_memory
        def load(data):
            images = np.full((3, 1, 2, 2), float(data.folder), np.float32)
            return in_memory(images, np.zeros(3, np.int64), ("all",))
        """
    )
    found = data_source("my_module:load")(section("my_module:load", "0.25"))
    assert isinstance(found, Source)
    assert found.read(np.array([1]), 2).mean() == 0.25


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ("open(data.folder)", "raised FileNotFoundError: .*nowhere"),
        ("None", "returned an object of type NoneType, expected a Source"),
    ],
)
def test_a_wrong_data_set_is_one_sentence(write, answered, words):
    write(f"def load(data): return {answered}")
    with pytest.raises(PluginError, match=f"^plug-in my_module:load: .*{words}"):
        data_source("my_module:load")(section("my_module:load", "nowhere"))


MADE_UP = """
import numpy as np
from diffattr.data.in_memory import in_memory
from diffattr.data.source import Source, UnreadableError
def load(data):
    images = np.full((4, 1, 8, 8), 0.25, np.float32)
    found = in_memory(images, np.zeros(4, np.int64), ("a",))
    def read(positions, resolution):
        {read}
    return Source(found.labels, ("a",), found.train_pool, found.val_pool, read)
"""


def read_images(write, read):
    write(MADE_UP.format(read=read))
    return data_source("my_module:load")(config().data).read(np.array([1, 3]), 8)


def test_images_are_read_when_they_are_asked_for(write):
    found = read_images(write, "return found.read(positions, resolution)")
    assert np.array_equal(found, np.full((2, 1, 8, 8), 0.25, np.float32))


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("return None", "returned an object of type NoneType"),
        (
            "return found.read(positions[:1], 8)",
            r"shape \(1, 1, 8, 8\), expected \(2, 1, 8, 8\)",
        ),
        (
            "return found.read(positions, 4)",
            r"shape \(2, 1, 4, 4\), expected \(2, 1, 8, 8\)",
        ),
        ("return found.read(positions, 8)[:, 0]", r"returned shape \(2, 8, 8\)"),
        ("return found.read(positions, 8) * np.nan", "returned NaN or infinity"),
        ("return found.read(positions, 8) * 255", "returned pixel values from 63.75 to 63.75"),
    ],
)
def test_wrong_images_are_one_sentence(write, read, words):
    with pytest.raises(PluginError, match=f"^plug-in my_module:load: .*{words}"):
        read_images(write, read)


def test_an_image_that_cannot_be_used_may_be_left_out_as_in_our_data_sets(write):
    with pytest.raises(UnreadableError, match="torn"):
        read_images(write, "raise UnreadableError(dict([(3, 'torn')]))")


# --- what jobs depend on ----------------------------------------------------------------------


def test_params_without_plug_ins_name_none():
    found = benchmark()
    assert method_params(found, "trak-4")["plugins"] == {}
    assert found.params.plugins("output-functions", *OUTPUT_FUNCTIONS) == {}
    assert found.params.plugins("data-sources", "digits") == {}


def test_params_name_the_code_of_a_plug_in_and_follow_an_edit(write):
    path = write(SUM)
    before = method_params(benchmark(with_method()), "mine")["plugins"]
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = hashlib.sha256(f" {own}\n".encode()).hexdigest()
    assert before == {"my_module:scores": {"sha256": expected}}
    path.write_text(SUM + "# edited\n")
    forget()
    made = benchmark(with_method())
    assert method_params(made, "mine")["plugins"] != before
    assert method_params(made, "trak-4")["plugins"] == {}


def test_any_file_of_a_package_counts_and_where_it_lies_does_not(write, folder, monkeypatch):
    write("", "mine.__init__")
    write(SUM, "mine.methods")
    helper = write("", "mine.deep.helper")
    monkeypatch.setenv(plugins.ALLOWED, "mine")

    def identity():
        return plugins.identity("methods", "mine.methods:scores")

    before = identity()
    helper.write_text("# edited\n")
    forget()
    after = identity()
    assert after != before
    (folder / "elsewhere").mkdir()
    (folder / "mine").rename(folder / "elsewhere" / "mine")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]
    forget()
    monkeypatch.syspath_prepend(str(folder / "elsewhere"))
    assert identity() == after


def test_an_installed_package_is_named_with_its_version(install):
    install(SUM, "[diffattr.methods]\nmy-sum = my_package:scores\n", version="2.5")
    found = plugins.identity("methods", "my-sum")
    assert (found["distribution"], found["version"]) == ("my_package", "2.5")
    assert len(found["sha256"]) == 64


def test_the_registries_that_plug_ins_extend_are_those_of_the_schema():
    definitions = schema()["$defs"]
    assert definitions["MethodOptions"]["properties"]["method"]["registry"] == "methods"
    text = SCHEMA_FILE.read_text()
    assert {name for name in plugins.GROUPS if f'"registry": "{name}"' in text} == set(
        plugins.GROUPS
    )
