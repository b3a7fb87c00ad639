"""The five benchmarks of the D-TRAK paper, against the counts of its published code."""

import pytest
import torch
from changed_config import benchmark
from dags import CIFAR, by_rule, jobs_of

from diffattr.diffusion.families import family
from diffattr.plan.network import network_size

MODELS = {"cifar2": 885, "cifar10": 193, "celeba": 885, "artbench2": 885, "artbench5": 193}
# Steps of the full model, of a half and without 1000 images, as the published scripts take them.
STEPS = {
    "cifar2": (8000, 4000, 6400),
    "cifar10": (78_200, 39_200, None),
    "celeba": (8000, 4000, 6400),
    "artbench2": (7900, 4000, 6300),
    "artbench5": (19_600, 9800, None),
}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


def paper(name):
    return benchmark(name=f"configs/{name}.yaml")


def test_as_many_models_are_trained(name):
    whole, jobs = paper(name), by_rule(jobs_of(name=f"configs/{name}.yaml"))
    blocks = [(job.wildcards["group"], int(job.wildcards["block"])) for job in jobs["train_block"]]
    subsets = sum(len(whole.counts.members(*block)) for block in blocks)
    assert len(jobs["train_full"]) + subsets == MODELS[name]
    assert "train_full_seed" not in jobs


def test_training_takes_as_many_steps(name):
    config = paper(name).config
    full, half, rest = STEPS[name]
    assert config.n_steps == full
    assert config.training.n_steps(config.data.n_train // 2) == half
    if rest is not None:
        assert config.training.n_steps(config.data.n_train - 1000) == rest


@pytest.mark.parametrize(
    ("name", "n_parameters", "gflops", "dropouts"),
    [("cifar2", 38_306_691, 12.1, 22), ("celeba", 118_793_987, 31.0, 32)],
)
def test_networks_are_the_published_ones(name, n_parameters, gflops, dropouts):
    whole = paper(name)
    size = network_size(whole)
    assert size.n_parameters == n_parameters
    assert size.forward_flops / 1e9 == pytest.approx(gflops, rel=0.05)
    with torch.device("meta"):
        network, _ = family("unet2d").outline(whole.config.model.config)
    drops = [m for m in network.modules() if isinstance(m, torch.nn.Dropout) and m.p == 0.1]
    assert len(drops) == dropouts  # one per residual block, none in attention


def test_cifar_10_has_the_network_of_cifar_2():
    assert paper("cifar10").config.model == paper("cifar2").config.model


def test_the_ground_truth_is_measured_at_every_timestep_with_three_noises(name):
    losses = paper(name).config.measurement.losses
    assert (losses.n_timesteps, losses.draws) == (1000, 3)


def test_the_disk_of_cifar_2_is_a_third_of_the_published_code_s():
    # Its features 81 GB, losses 16.9 GB, checkpoints 46 GB, and 885 models of 153 MB each.
    theirs = 81e9 + 16.9e9 + 46e9 + 885 * 4 * 38_306_691
    ours = sum(job.work.n_bytes for job in jobs_of(name="configs/cifar2.yaml", size=CIFAR))
    assert ours < theirs / 3


@pytest.mark.parametrize("name", MODELS)
def test_a_mini_twin_runs_the_rules_of_its_benchmark(name):
    twin = benchmark(name=f"configs/mini/{name}.yaml")
    whole = {job.rule for job in jobs_of(name=f"configs/{name}.yaml")}
    in_twin = {job.rule for job in jobs_of(name=f"configs/mini/{name}.yaml")}
    # Embeddings need CLIP's weights, and the audit of powers is one more job for every method.
    assert whole - in_twin <= {"embed", "audit_powers"}
    assert twin.config.data.source == paper(name).config.data.source
    assert twin.config.model.family == paper(name).config.model.family
