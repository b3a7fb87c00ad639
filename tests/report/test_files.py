"""The report reads exactly what its rule declares, and writes exactly what it declares."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from changed_config import benchmark

from diffattr.artifacts import PROVENANCE_SUFFIX, ArtifactError, read_array, write_array
from diffattr.report.files import input_files, output_files
from diffattr.report.write import write_report

_listeners: list[set[str]] = []


def _hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        for opened in _listeners:
            opened.add(arguments[0])


@pytest.fixture(scope="module", autouse=True)
def _audited():
    # An audit hook stays for the life of the process; without listeners it does nothing.
    sys.addaudithook(_hook)


@contextmanager
def files_opened(root):
    """Collect every file below `root` that the process opens, whoever opens it, but sidecars."""
    opened: set[str] = set()
    found: set[str] = set()
    _listeners.append(opened)
    try:
        yield found
    finally:
        _listeners.remove(opened)
        below = {path for path in opened if path.startswith(f"{root}/")}
        found |= {path for path in below if not path.endswith(PROVENANCE_SUFFIX)}


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_report_reads_its_inputs_and_no_other_artifact(make_folder, is_measured):
    folder = make_folder(is_measured=is_measured)
    outputs = output_files(folder.benchmark)
    with files_opened(folder.benchmark.paths.root) as opened:
        write_report(folder.benchmark, outputs)
    report = folder.benchmark.paths("report")
    read = {path for path in opened if not f"{path}/".startswith(f"{report}/")}
    # Those that the fixture lists by itself, and those that the rule declares.
    declared = (files.values() for files in input_files(folder.benchmark).values())
    assert read == set(folder.roots) == {path for paths in declared for path in paths}
    written = {path for path in Path(report).iterdir() if not path.name.startswith(".")}
    assert written == {Path(path) for path in outputs.values()}


@pytest.mark.parametrize(("kind", "key"), [("images", ("gen",)), ("labels", ("train",))])
def test_files_that_describe_another_number_of_images_are_refused(make_folder, kind, key):
    folder = make_folder()
    path = input_files(folder.benchmark)[kind][key]
    stored = read_array(path)
    write_array(path, np.concatenate([stored, stored[:1]]))
    message = f"{path}: found {len(stored) + 1} {kind} of split {key[0]}, expected {len(stored)}"
    with pytest.raises(ArtifactError, match=re.escape(message)):
        write_report(folder.benchmark, output_files(folder.benchmark))
    assert not Path(output_files(folder.benchmark)["numbers"]).exists()


def test_parts_of_the_report_are_there_where_they_apply(folder):
    always = {"page", "numbers", "proponents", "viewer"}
    assert set(output_files(folder.benchmark)) == always | {"table"}
    every = benchmark(name="configs/every-method.yaml")
    assert set(output_files(every)) == always | {"table", "sweeps", "redrawn"}


def test_redrawn_queries_are_those_of_the_first_training_seed():
    every = benchmark(name="configs/every-method.yaml")
    files = input_files(every)
    assert files["counterfactual"] == {(): "results/every-method/counterfactual/result.json"}
    # configs/every-method.yaml: seeds [42, 43].
    assert len(files["outcomes"]) == sum(
        len(every.counts.blocks(r.group)) for r in every.counts.removals
    )
    assert all("/seed-42/" in path for path in files["outcomes"].values())


def test_maps_and_labels_are_inputs_where_they_exist():
    every = benchmark(name="configs/every-method.yaml")
    files = input_files(every)
    mapped = {name for name, _ in files["maps"]}
    assert mapped == {"nda", "nda-two-scales"}
    assert set(files["labels"]) == {("train",), ("val",), ("planted",)}
    assert {split for (split,) in files["images"]} == {"train", "val", "gen", "planted"}
    cells = {cell.method for cell in every.cells}
    assert cells <= {name for name, _ in files["lds"]}
    assert not cells & {name for name, _ in files["scores"]}
