"""Files that an attacker, a failing disk or another program left: each gets a refusal in words."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numbers_of_stages import MODEL, network
from safetensors.torch import save_file

from diffattr import artifacts
from diffattr.artifacts import ArtifactError
from diffattr.diffusion.models import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_block,
    read_network,
    write_block,
    write_network,
)


def refusal(read, path, wanted=None):
    with pytest.raises(ArtifactError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{wanted or path}: ")
    assert "snakemake --force" in text
    return text


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


# --- .npy -------------------------------------------------------------------------------------


def npy(header):
    """Return an array file of this header and no data."""
    padded = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def shaped(shape, descr="<f8"):
    return npy(repr({"descr": descr, "fortran_order": False, "shape": shape}))


HEADERS = {
    "7 PiB": shaped((10**15,)),
    "more than 64 bits": shaped((10**21,)),
    "negative": shaped((-1,)),
    "objects": shaped((3,), "|O"),
    "no type": shaped((3,), "nonsense"),
    "keys of two types": npy("{1: 2, 'a': 3}"),
    "an open bracket": npy("{'descr': ("),
    "a call": npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (3,)}"),
    "deep": npy("(" * 9000),
}


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mmap"])
@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_the_header_of_an_array_is_not_trusted(tmp_path, content, mmap):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    refusal(lambda path: artifacts.read_array(path, mmap=mmap), path)


def test_several_arrays_in_one_file_are_no_array(tmp_path):
    path = tmp_path / "a.npy"
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    (tmp_path / "a.npz").rename(path)
    refusal(artifacts.read_array, path)


# --- stores and JSON --------------------------------------------------------------------------


def test_a_member_named_outside_of_the_store_is_not_unpacked(tmp_path):
    path = tmp_path / "folder" / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(3)}, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped", "x")
        archive.writestr(f"{tmp_path}/absolute", "x")
    refusal(artifacts.read_arrays, path)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["folder", "a.zarr.zip"]


def rewritten(source, target, change):
    """Copy a store member by member, through `change(name, content)`; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def test_a_store_whose_numbers_were_left_out_is_refused(tmp_path):
    # To zarr a missing chunk is a chunk of zeros.
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})
    rewritten(path, changed, lambda name, content: None if "/c/" in name else content)
    refusal(artifacts.read_arrays, changed)


def test_an_array_of_zeros_is_not_taken_for_one_whose_numbers_were_left_out(tmp_path):
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.zeros((2, 3)), "none": np.zeros((0, 3))}, {})
    stored = artifacts.read_arrays(path)
    assert stored["a"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert stored["none"].shape == (0, 3)


@pytest.mark.parametrize(
    "harm",
    [
        lambda metadata: metadata | {"shape": [10**15]},
        lambda metadata: metadata | {"shape": "many"},
        lambda metadata: metadata | {"data_type": "object"},
        lambda metadata: metadata | {"codecs": [{"name": "pickle"}]},
        lambda _: {},
        lambda _: [],
    ],
    ids=["7 PiB", "shape", "type", "codec", "empty", "list"],
)
def test_the_metadata_of_a_store_are_not_trusted(tmp_path, harm):
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})

    def change(name, content):
        return json.dumps(harm(json.loads(content))) if name == "a/zarr.json" else content

    rewritten(path, changed, change)
    refusal(artifacts.read_arrays, changed)


def test_json_without_an_end_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    refusal(artifacts.read_json, path)


# --- models -----------------------------------------------------------------------------------


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
