"""Code from outside: found by its name, and run only if the user allowed it."""

import os
import sys

import pytest
import torch
from changed_config import assert_refused, benchmark, config, raw, schema
from data_sets import section
from plugin_code import SUM, with_method

from diffattr import plugins
from diffattr.attribution import METHODS, method_of
from diffattr.benchmark.completion import read_config
from diffattr.config import ConfigError
from diffattr.data import data_source
from diffattr.features.output_functions import OUTPUT_FUNCTIONS, Denoising, output_function
from diffattr.plugins import PluginError


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


def test_our_output_functions_and_data_sets_are_given_as_they_are():
    assert output_function("loss") is OUTPUT_FUNCTIONS["loss"]
    assert output_function("loss")(Denoising(*torch.zeros(2, 1, 1, 1, 1), torch.ones(1))) == 0
    assert len(data_source("digits")(section("digits")).labels) == 1797


def test_a_package_may_gather_what_its_modules_define(write, monkeypatch):
    write("from mine.sub import scores", "mine.__init__")
    write(SUM, "mine.sub")
    monkeypatch.setenv(plugins.ALLOWED, "mine")
    assert method_of("mine:scores").reads == "features"
