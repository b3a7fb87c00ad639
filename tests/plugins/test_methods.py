"""Methods from outside: held against their contract, whatever they answer."""

from types import SimpleNamespace

import numpy as np
import pytest
from changed_config import assert_refused, benchmark
from plugin_code import MINE, SUM, method_params, with_method

from diffattr import plugins
from diffattr.artifacts import write_array
from diffattr.attribution import configured, method_of
from diffattr.attribution.method import answer, with_options
from diffattr.config import ConfigError
from diffattr.plugins import PluginError


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


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("def inputs(self, reading, split, files):", "raised TypeError: .*'files'"),
        ("def inputs(self, split, files):\n        return {'ages': 3}", "are not paths"),
    ],
)
def test_inputs_that_break_the_contract_are_refused_with_the_plug_in_s_name(write, written, words):
    write(OF_A_NEW_CONTRACT.replace("def inputs(self, split, files):", written))
    made = benchmark({"methods.mine": {"method": "my_module:oldest"}})
    with pytest.raises(PluginError, match=f"plug-in my_module:oldest: .*{words}"):
        made.inputs.method("mine", "val")


def test_errors_that_break_are_refused_with_the_plug_in_s_name(write):
    write(OF_A_NEW_CONTRACT.replace("config.noise_schedule.n_timesteps", "config.timesteps"))
    words = "plug-in my_module:oldest: raised AttributeError"
    assert_refused(
        benchmark,
        {"methods.mine": {"method": "my_module:oldest"}},
        key="methods.mine.method",
        words=words,
    )


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
