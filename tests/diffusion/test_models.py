"""Networks on disk come back as they were."""

import msgspec
import pytest
import torch
from diffusers import UNet2DModel
from tiny import MODEL, network

from diffattr.artifacts import ArtifactError
from diffattr.config import ConfigError
from diffattr.diffusion.families import MODEL_FAMILIES
from diffattr.diffusion.models import (
    CONFIG_FILE,
    build,
    predict,
    read_block,
    read_network,
    write_block,
    write_networks,
)

WEIGHTS_FILE = MODEL_FAMILIES["unet2d"].weights_file


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


def test_initial_weights_are_keyed_and_leave_the_global_generator_alone():
    torch.manual_seed(1)
    first = build(MODEL, 1)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build(MODEL, 1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor)


def test_a_run_s_folder_holds_what_diffusers_expects_and_no_more(pair, tmp_path):
    write_networks(tmp_path, {0: stacked(pair[1]), 20: stacked(pair[0])}, MODEL)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == sorted(
        [
            "config.json",
            "diffusion_pytorch_model.safetensors",
            "checkpoints/0/config.json",
            "checkpoints/0/diffusion_pytorch_model.safetensors",
        ]
    )
    bytes_before = [(tmp_path / file).read_bytes() for file in files]
    write_networks(tmp_path, {0: stacked(pair[1]), 20: stacked(pair[0])}, MODEL)
    assert [(tmp_path / file).read_bytes() for file in files] == bytes_before


def test_networks_are_read_in_evaluation_mode(tmp_path):
    model = msgspec.structs.replace(MODEL, config={**MODEL.config, "dropout": 0.5})
    own = build(model, seed=2).eval()
    write_networks(tmp_path, {1: stacked(own)}, model)
    write_block(tmp_path / "block", stacked(own), model, [0])
    for found in (read_network(tmp_path / WEIGHTS_FILE), *read_block(tmp_path / "block")[1]):
        assert torch.equal(answer(found), answer(own))


def test_a_missing_block_and_a_missing_network_name_the_way_to_make_them(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist; build it: snakemake"):
        read_block(tmp_path / "block.safetensors")
    with pytest.raises(ArtifactError, match="does not exist; build it: snakemake"):
        read_network(tmp_path / "model" / WEIGHTS_FILE)


@pytest.mark.parametrize("n_bytes", [0, 5, 200, -1])
def test_a_truncated_block_is_refused(pair, n_bytes, tmp_path):
    path = tmp_path / "block.safetensors"
    write_block(path, stacked(*pair), MODEL, [0, 1])
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ArtifactError, match="is not a readable block of models"):
        read_block(path)


def test_garbage_is_refused_as_a_block_and_as_a_network(pair, tmp_path):
    garbage = bytes(range(256)) * 20
    (tmp_path / "block").write_bytes(garbage)
    with pytest.raises(ArtifactError, match="is not a readable block of models"):
        read_block(tmp_path / "block")
    for file in (WEIGHTS_FILE, CONFIG_FILE):
        write_networks(tmp_path, {1: stacked(pair[0])}, MODEL)
        (tmp_path / file).write_bytes(garbage)
        with pytest.raises(ArtifactError, match="is not a readable model"):
            read_network(tmp_path / WEIGHTS_FILE)


def test_a_truncated_network_is_refused(pair, tmp_path):
    write_networks(tmp_path, {1: stacked(pair[0])}, MODEL)
    weights = tmp_path / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="is not a readable model"):
        read_network(weights)


def test_a_config_that_the_family_does_not_take_is_refused():
    wrong = msgspec.structs.replace(MODEL, config={**MODEL.config, "norm_num_groups": 3})
    with pytest.raises(ConfigError, match=r"model\.config: does not fit unet2d"):
        build(wrong, seed=0)
    wrong = msgspec.structs.replace(MODEL, config={**MODEL.config, "chanels": 3})
    with pytest.raises(ConfigError, match="chanels"):
        build(wrong, seed=0)
