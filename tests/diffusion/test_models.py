"""Networks on disk come back as they were."""

import msgspec
import pytest
import torch
from diffusers import UNet2DModel
from numbers_of_stages import MODEL, network

from diffattr.artifacts import ArtifactError
from diffattr.config import ConfigError
from diffattr.diffusion.models import (
    WEIGHTS_FILE,
    build,
    predict,
    read_block,
    read_network,
    write_block,
    write_networks,
)


def stacked(*networks):
    states = [network.state_dict() for network in networks]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


@pytest.fixture(scope="module")
def pair():
    return network(), build(MODEL, seed=1).eval()


def answer(network):
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    with torch.no_grad():
        return predict(network, x, torch.tensor([3, 700]))


def test_a_block_comes_back_model_by_model(pair, tmp_path):
    path = tmp_path / "block.safetensors"
    write_block(path, stacked(*pair), MODEL, [4, 7])
    subsets, networks = read_block(path)
    assert subsets == [4, 7]
    for found, expected in zip(networks, pair, strict=True):
        assert torch.equal(answer(found), answer(expected))


def test_a_block_written_twice_has_the_same_bytes(pair, tmp_path):
    for name in ("first", "second"):
        write_block(tmp_path / name, stacked(*pair), MODEL, [4, 7])
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_run_s_networks_are_read_by_diffusers_itself(pair, tmp_path):
    write_networks(tmp_path, {0: stacked(pair[1]), 20: stacked(pair[0])}, MODEL)
    for folder, expected in ((tmp_path, pair[0]), (tmp_path / "checkpoints" / "0", pair[1])):
        theirs = UNet2DModel.from_pretrained(folder, low_cpu_mem_usage=False).eval()
        assert torch.equal(answer(theirs), answer(expected))
        assert torch.equal(answer(read_network(folder / WEIGHTS_FILE)), answer(expected))


def test_initial_weights_are_the_seed_s():
    first, again, other = (build(MODEL, seed).conv_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("n_bytes", [0, 5, 200])
def test_a_truncated_block_is_refused(pair, n_bytes, tmp_path):
    path = tmp_path / "block.safetensors"
    write_block(path, stacked(*pair), MODEL, [0, 1])
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ArtifactError, match="is not a readable block of models"):
        read_block(path)


def test_a_truncated_network_is_refused(pair, tmp_path):
    write_networks(tmp_path, {1: stacked(pair[0])}, MODEL)
    weights = tmp_path / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="is not a readable model"):
        read_network(weights)


def test_a_config_that_the_family_does_not_take_is_refused():
    wrong = msgspec.structs.replace(MODEL, config={**MODEL.config, "norm_num_groups": 3})
    with pytest.raises(ConfigError, match=r"model\.config: unet2d does not take it"):
        build(wrong, seed=0)
    wrong = msgspec.structs.replace(MODEL, config={**MODEL.config, "chanels": 3})
    with pytest.raises(ConfigError, match="chanels"):
        build(wrong, seed=0)
