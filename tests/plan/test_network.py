"""The size of a benchmark's network, against torch and the real network, and where it is kept."""

import json
import subprocess
import sys

import pytest
import torch
from changed_config import CONFIGS, REPOSITORY, benchmark
from dags import CIFAR, CIFAR_CHANGES, SIZE
from torch.utils.flop_counter import FlopCounterMode

from diffattr.diffusion.models import build, predict
from diffattr.plan.network import (
    NetworkSize,
    kept_size,
    known_size,
    network_size,
    size_key,
    size_path,
)

LARGE = NetworkSize(n_parameters=40_000_000, forward_flops=12_000_000_000)
ATTENTION = {
    "model.config.down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "model.config.up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "model.config.add_attention": True,
    "model.config.attention_head_dim": 4,
    "jobs.models_per_stack": 1,
}
ONE_LEVEL = {
    "model.config.block_out_channels": [8],
    "model.config.down_block_types": ["DownBlock2D"],
    "model.config.up_block_types": ["UpBlock2D"],
}


def real_network(changed):
    return build(changed.config.model, seed=0).eval()


def run(network, changed):
    side = changed.config.data.resolution
    channels = changed.config.model.config["in_channels"]
    with torch.no_grad():
        predict(network, torch.zeros(1, channels, side, side), torch.zeros(1))


def multiplications(network, changed):
    """Count the multiply-adds of convolutions and linear layers from the shapes they really see."""
    total = 0

    def count(module, _, output):
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            height, width = module.kernel_size
            total += output.numel() * module.in_channels // module.groups * height * width
        else:
            total += output.numel() * module.in_features

    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    run(network, changed)
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("changes", [{}, ONE_LEVEL], ids=["smoke", "one"])
def test_the_network_s_size_is_that_of_the_real_network(changes):
    changed = benchmark(changes)
    real = real_network(changed)
    found = network_size(changed)
    assert found.n_parameters == sum(weight.numel() for weight in real.parameters())
    with FlopCounterMode(display=False) as counter:
        run(real, changed)
    assert found.forward_flops == counter.get_total_flops()


# Attention blocks (one down, one in the middle, two up) over 4 x 4 = 16 positions of 16 channels:
# queries with keys, and weights with values, neither of them a layer.
IN_ATTENTION = 4 * 2 * 16 * 16 * 16


@pytest.mark.parametrize(
    ("changes", "outside_layers"),
    [({}, 0), (ONE_LEVEL, 0), (ATTENTION, IN_ATTENTION)],
    ids=["smoke", "one", "attention"],
)
def test_the_network_s_operations_are_twice_its_multiplications(changes, outside_layers):
    changed = benchmark(changes)
    counted = 2 * (multiplications(real_network(changed), changed) + outside_layers)
    # Exact, since neither counts biases or additions.
    assert network_size(changed).forward_flops == counted


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_s_network_has_a_size(name):
    whole = benchmark(name=name)
    if whole.models.text_conditioned:
        pytest.importorskip("peft", reason="needs pip install 'diffattr[text-to-image]'")
    found = network_size(whole)
    assert found.n_parameters > 1000
    assert found.forward_flops > found.n_parameters


def test_the_size_of_the_paper_s_network_is_the_one_counted_there():
    found = network_size(benchmark(CIFAR_CHANGES))
    assert found.n_parameters == CIFAR.n_parameters
    # The count there has no attention products, which are 3 % of ours.
    assert found.forward_flops == pytest.approx(CIFAR.forward_flops, rel=0.04)


# --- kept without torch -----------------------------------------------------------------------


def test_the_network_s_size_is_kept_until_the_network_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = iter([SIZE, LARGE])
    monkeypatch.setattr("diffattr.plan.network.network_size", lambda benchmark: next(sizes))
    smoke = benchmark()
    assert known_size(smoke) is None
    assert [kept_size(smoke) for _ in range(3)] == [SIZE] * 3
    # Neither more images nor another recipe is another network.
    assert known_size(benchmark({"data.n_train": 40, "training.epochs": 9})) == SIZE
    wider = benchmark({"model.config.block_out_channels": [8, 32]})
    assert known_size(wider) is None
    assert kept_size(wider) == LARGE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', '{"n_parameters": 3}'])
def test_a_damaged_size_is_no_size(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / size_path(benchmark())
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert known_size(benchmark()) is None


def test_a_known_size_loads_no_torch(tmp_path):
    """Every start of Snakemake asks for it, two for each cluster job."""
    code = (
        "import sys, json, yaml\n"
        "from diffattr.benchmark import Benchmark\n"
        "from diffattr.plan.network import known_size\n"
        "from diffattr.config import Config\n"
        "import msgspec\n"
        "raw = yaml.safe_load(open(sys.argv[1]))\n"
        "print(known_size(Benchmark(msgspec.convert(raw, Config))))\n"
        "print(sorted({'torch', 'diffusers', 'zarr', 'sklearn'} & set(sys.modules)))\n"
    )
    kept = {"key": size_key(benchmark()), "n_parameters": 5, "forward_flops": 7}
    path = tmp_path / size_path(benchmark())
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(kept))
    command = [sys.executable, "-c", code, str(REPOSITORY / "configs" / "smoke.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(NetworkSize(5, 7)), "[]"]
