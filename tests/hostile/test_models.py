"""Networks and blocks that are incomplete, foreign, pickled or elsewhere: each gets a refusal."""

import json
from pathlib import Path

import pytest
import torch
from hostile_files import WEIGHTS_FILE, Payload, refusal
from safetensors.torch import save_file
from tiny import MODEL, network

from diffattr.diffusion.models import (
    CONFIG_FILE,
    read_block,
    read_network,
    write_block,
    write_network,
)


@pytest.fixture(scope="module")
def weights():
    return {name: tensor.detach() for name, tensor in network().state_dict().items()}


@pytest.fixture
def folder(tmp_path, weights):
    write_network(tmp_path / "net", weights, MODEL)
    return tmp_path / "net"


def test_a_network_without_some_of_its_weights_is_refused_and_not_filled_with_noise(
    folder, weights
):
    part = {name: tensor for name, tensor in weights.items() if "conv_out" not in name}
    save_file(part, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


def test_a_network_with_weights_too_many_is_refused(folder, weights):
    more = {**weights, "extra": torch.zeros(2)}
    save_file(more, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


@pytest.mark.parametrize(
    "config",
    ["[]", "{}", '{"a": 1}', "{", json.dumps({**MODEL.config, "block_out_channels": [8, 8]})],
)
def test_a_network_whose_config_is_not_its_own_is_refused(folder, config):
    (folder / CONFIG_FILE).write_text(config)
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


def test_pickled_weights_are_not_read_in_place_of_missing_ones(folder, tmp_path, weights):
    # diffusers falls back on a .bin file beside, which torch reads by unpickling.
    (folder / WEIGHTS_FILE).unlink()
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    torch.save({"a": Payload(tmp_path / "trace")}, folder / "diffusion_pytorch_model.bin")
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    assert not (tmp_path / "trace").exists()


@pytest.fixture
def connections(monkeypatch):
    """The connections that were tried, none of which comes about."""
    tried = []

    def connect(*arguments, **_):
        tried.append(arguments)
        raise OSError("no connection in tests")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    return tried


def test_a_missing_network_is_not_looked_for_on_the_internet(tmp_path, monkeypatch, connections):
    monkeypatch.chdir(tmp_path)
    refusal(read_network, Path("google", "ddpm", WEIGHTS_FILE), wanted="google/ddpm")
    assert connections == []


def test_a_config_that_names_a_network_on_the_internet_is_not_followed(folder, connections):
    (folder / CONFIG_FILE).write_text('"google/ddpm-cifar10-32"')
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    assert connections == []


ABOUT = {"family": "unet2d", "config": MODEL.config, "subsets": [3, 4]}
METADATA = {
    "none": None,
    "another program's": {"format": "pt"},
    "not JSON": {"diffattr": "{"},
    "a list": {"diffattr": "[]"},
    "no subsets": {"diffattr": json.dumps({"family": "unet2d", "config": MODEL.config})},
    "a family that is not there": {"diffattr": json.dumps({**ABOUT, "family": "os"})},
    "another config": {
        "diffattr": json.dumps({**ABOUT, "config": {**MODEL.config, "layers_per_block": 2}})
    },
    "a config that no family takes": {"diffattr": json.dumps({**ABOUT, "config": {"x": 1}})},
    "more subsets than models": {"diffattr": json.dumps({**ABOUT, "subsets": [1, 2, 3]})},
    "fewer subsets than models": {"diffattr": json.dumps({**ABOUT, "subsets": [1]})},
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_the_metadata_of_a_block_are_not_trusted(tmp_path, weights, metadata):
    path = tmp_path / "block-0.safetensors"
    stacked = {name: torch.stack([tensor, tensor]) for name, tensor in weights.items()}
    write_block(path, stacked, MODEL, [3, 4])
    assert read_block(path)[0] == [3, 4]
    save_file(stacked, path, metadata=metadata)
    refusal(read_block, path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8 + b"{}", (10**9).to_bytes(8, "little") + b"{}", b"\x80\x04K*."]
)
def test_the_length_that_a_block_claims_is_not_trusted(tmp_path, content):
    path = tmp_path / "block-0.safetensors"
    path.write_bytes(content)
    refusal(read_block, path)
