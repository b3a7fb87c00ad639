"""`make numbers`: record every stage's numbers and version in numbers.json.

test_numbers.py compares. What this machine rounds differently stays as it was recorded.
"""

import json
import re
from itertools import zip_longest
from pathlib import Path

import numpy as np
from stages import STAGES, Numbers

from diffattr.versions import RESULT_VERSION

RECORD = Path(__file__).with_name("numbers.json")
# Other machines and library versions round differently in the fifth digit; four are recorded.
RTOL, ATOL = 2e-3, 2e-4


def merged(stored: Numbers, found: Numbers) -> Numbers:
    """Return what was found; where a stored number lies within the tolerance of it, that one."""
    return {
        name: [
            old if old is not None and np.isclose(new, old, RTOL, ATOL) else float(f"{new:.4g}")
            for new, old in zip_longest(numbers, stored.get(name, [])[: len(numbers)])
        ]
        for name, numbers in found.items()
    }


def written(stored: dict[str, dict], found: dict[str, Numbers]) -> str:
    """Return the record as text, sorted by name, so that a new name is one new line."""
    record = {
        stage: {
            "version": RESULT_VERSION[stage],
            "numbers": merged(stored.get(stage, {}).get("numbers", {}), numbers),
        }
        for stage, numbers in found.items()
    }
    text = json.dumps(record, indent=1, sort_keys=True)
    return re.sub(r"\[[^]]*\]", lambda numbers: json.dumps(json.loads(numbers[0])), text) + "\n"


if __name__ == "__main__":
    found = {stage: numbers() for stage, numbers in STAGES.items()}
    RECORD.write_text(written(json.loads(RECORD.read_text()), found))
