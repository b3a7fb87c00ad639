"""A stage whose numbers change must raise its RESULT_VERSION, or old artifacts pass for new."""

import json

import numpy as np
import pytest
from numbers_of_stages import RECORD, STAGES

from diffattr.versions import RESULT_VERSION


@pytest.mark.parametrize("stage", STAGES)
def test_numbers_change_only_with_the_version(stage):
    recorded = json.loads(RECORD.read_text())[stage]
    assert RESULT_VERSION[stage] == recorded["version"], (
        f"RESULT_VERSION[{stage!r}] is {RESULT_VERSION[stage]}, the numbers were recorded for"
        f" {recorded['version']}: run make numbers and add a Numbers line to CHANGELOG.md"
    )
    found = STAGES[stage]()
    # Four digits are recorded; other machines and library versions round differently in the fifth.
    assert np.shape(found) == np.shape(recorded["numbers"]), _advice(stage)
    np.testing.assert_allclose(
        found, recorded["numbers"], rtol=2e-3, atol=2e-4, err_msg=_advice(stage)
    )


def _advice(stage):
    return (
        f"the numbers of stage {stage!r} changed: raise RESULT_VERSION[{stage!r}] in"
        " src/diffattr/versions.py, run make numbers, add a Numbers line to CHANGELOG.md"
    )


def test_every_stage_with_numbers_is_watched():
    assert set(RESULT_VERSION) - set(STAGES) == {"pretrained", "report"}
