"""The mini config's pipeline, in a working directory of each test."""

import shutil

import numpy as np
import pytest
from mini_model import FOLDER
from stand_ins import write_ddpm


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddpm") / "pipeline"
    write_ddpm(folder, seed=0)
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch):
    """The working directory of the mini config, with its pipeline to change."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written, tmp_path / FOLDER)
    for folder, n in (("images", 130), ("queries", 160)):
        (tmp_path / "data/mini" / folder).mkdir()
        for number in range(n):
            (tmp_path / "data/mini" / folder / f"{number}.png").touch()
    np.save("a.npy", np.zeros((160, 100)))
    return tmp_path
