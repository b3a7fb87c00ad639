"""The mini config of an own model and its pipeline, for tests to change."""

import json

from changed_config import OWN_MODEL
from changed_config import benchmark as benchmark_of

LORA = {"pipeline": "a/b", "unet": {}, "rank": 4, "dropout": 0.0, "caption": "a {}"}
FOLDER = "data/mini/ddpm"


def made(changes=None):
    return benchmark_of(changes, OWN_MODEL)


def rewrite(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
