"""What jobs depend on: the code of a plug-in, as part of their params."""

import hashlib
import sys

from changed_config import SCHEMA_FILE, benchmark, schema
from plugin_code import SUM, forget, method_params, with_method

from diffattr import plugins
from diffattr.features.output_functions import OUTPUT_FUNCTIONS


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
