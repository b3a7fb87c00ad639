"""A stage whose numbers change must raise its RESULT_VERSION, or old artifacts pass for new."""

import copy
import difflib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_numbers import ATOL, RECORD, RTOL, merged, written
from stages import STAGES

from diffattr.versions import RESULT_VERSION


@pytest.mark.parametrize("stage", STAGES)
def test_numbers_change_only_with_the_version(stage):
    recorded = json.loads(RECORD.read_text())[stage]
    assert RESULT_VERSION[stage] == recorded["version"], (
        f"RESULT_VERSION[{stage!r}] is {RESULT_VERSION[stage]}, the numbers were recorded for"
        f" {recorded['version']}: run make numbers and add a Numbers line to CHANGELOG.md"
    )
    found = STAGES[stage]()
    assert found.keys() == recorded["numbers"].keys(), "run make numbers"
    for name, numbers in found.items():
        advice = (
            f"{name}, of stage {stage!r}, changed: raise RESULT_VERSION[{stage!r}] in"
            " src/diffattr/versions.py, run make numbers, add a Numbers line to CHANGELOG.md"
        )
        expected = recorded["numbers"][name]
        assert len(numbers) == len(expected), advice
        np.testing.assert_allclose(numbers, expected, rtol=RTOL, atol=ATOL, err_msg=advice)


def test_every_stage_with_numbers_is_watched():
    assert set(RESULT_VERSION) - set(STAGES) == {"pretrained", "report"}


NUMBERS = st.dictionaries(
    st.sampled_from(["trak", "das", "nda", "random"]),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3),
)


@given(NUMBERS, NUMBERS, st.floats(-1.5, 1.5))
def test_recording_keeps_what_lies_within_the_tolerance_and_nothing_else(stored, other, moved):
    # Other numbers, and stored ones moved within the tolerance or a little out of it.
    found = other | {
        name: [old + moved * (ATOL + RTOL * abs(old)) for old in numbers]
        for name, numbers in stored.items()
        if name not in other
    }
    after = merged(stored, found)
    assert after.keys() == found.keys()
    for name, numbers in found.items():
        assert len(after[name]) == len(numbers)
        before = stored.get(name, [])
        for place, (new, recorded) in enumerate(zip(numbers, after[name], strict=True)):
            if place < len(before) and abs(new - before[place]) <= ATOL + RTOL * abs(before[place]):
                assert recorded == before[place]
            else:
                assert recorded == float(f"{new:.4g}")
                assert abs(recorded - new) <= 5e-4 * abs(new)


def test_on_another_processor_a_new_method_adds_lines_and_changes_none():
    before = RECORD.read_text()
    found = {stage: copy.deepcopy(kept["numbers"]) for stage, kept in json.loads(before).items()}
    for numbers in found.values():
        for name, values in numbers.items():
            numbers[name] = [value * (1 + 0.4 * RTOL) for value in values]
    found["attribution"]["scaled-dot"] = [0.123456, -2.0]
    after = written(json.loads(before), found)
    changes = difflib.ndiff(before.splitlines(), after.splitlines())
    assert [line for line in changes if line[0] != " "] == ['+    "scaled-dot": [0.1235, -2.0],']
