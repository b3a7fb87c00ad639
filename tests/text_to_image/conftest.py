"""A tiny pipeline on disk, and what its networks are told."""

import pytest

pytest.importorskip("peft", reason="needs pip install 'diffattr[text-to-image]'")
pytest.importorskip("transformers", reason="needs pip install 'diffattr[text-to-image]'")

from stand_ins import write_pipeline

from diffattr.config import Model
from diffattr.diffusion.latents import embedded_captions

UNET = {"sample_size": 16, "cross_attention_dim": 16, "block_out_channels": [16, 32]}
CAPTIONS = ["a ukiyo e painting", "a baroque painting", ""]


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.slow)  # transformers and peft take seconds to import


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-in") / "pipeline"
    write_pipeline(folder, seed=0)
    return str(folder)


@pytest.fixture(scope="session")
def captions(pipeline):
    return embedded_captions(pipeline, CAPTIONS)


@pytest.fixture
def model(pipeline):
    config = {
        "pipeline": pipeline,
        "unet": UNET,
        "rank": 4,
        "dropout": 0.1,
        "caption": "a {} painting",
    }
    return Model(family="sd-lora", config=config)
