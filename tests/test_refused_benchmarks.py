"""What a config cannot ask for: refused at once, in lines that start with the key."""

import pytest
from changed_config import DELETED, assert_refused, benchmark

from diffattr.config import ConfigError

SJLT = {"kind": "sjlt", "k": 256}
LEVELS = {
    "model.config.block_out_channels": [8, 16, 16],
    "model.config.down_block_types": ["DownBlock2D"] * 3,
    "model.config.up_block_types": ["UpBlock2D"] * 3,
}

# What is changed in configs/smoke.yaml, the key that the sentence must name, and words in it.
IMPOSSIBLE = {
    "the loss measured twice": (
        {"measurement.lds.also_measured": ["weighted-mse", "loss"]},
        "measurement.lds.also_measured",
        "loss always remove",
    ),
    "feature timesteps beyond the schedule": (
        {"features.t4.n_timesteps": 1001},
        "features.t4.n_timesteps",
        "1001 1000",
    ),
    "loss timesteps beyond the schedule": (
        {"measurement.losses.n_timesteps": 1001},
        "measurement.losses.n_timesteps",
        "1001 1000",
    ),
    "sampling steps beyond the schedule": (
        {"sampling.n_steps": 1001},
        "sampling.n_steps",
        "1001 1000",
    ),
    "k for a projector that keeps all": (
        {"features.t4.projector": {"kind": "none", "k": 4}},
        "features.t4.projector.k",
        "4 none",
    ),
    "k is missing": (
        {"features.t8.projector": {"kind": "normal"}},
        "features.t8.projector.k",
        "missing normal",
    ),
    "nonzeros do not divide k": (
        {"features.t4.projector": {**SJLT, "nonzeros": 3}},
        "features.t4.projector.nonzeros",
        "3 256",
    ),
    "more nonzeros than k": (
        {"features.t4.projector": {**SJLT, "nonzeros": 512}},
        "features.t4.projector.nonzeros",
        "512 256",
    ),
    "nonzeros for a dense projector": (
        {"features.t4.projector": {"kind": "rademacher", "k": 256, "nonzeros": 2}},
        "features.t4.projector.nonzeros",
        "2 sjlt",
    ),
    "fast-jl with an impossible k": (
        {"features.t4.projector": {"kind": "fast-jl", "k": 768}},
        "features.t4.projector.k",
        "768 512",
    ),
    "a pass that is not defined": (
        {"methods.trak-4.features": "t5/loss"},
        "methods.trak-4.features",
        "t5/loss t4/loss t8/loss",
    ),
    "an output function that the pass does not have": (
        {"features.t4.output_functions": ["mean-squared-l2-norm"], **dict.fromkeys(
            ("methods.gradient-dot-4", "methods.gradient-cosine-4"), DELETED
        )},
        "methods.trak-4.features",
        "t4/loss",
    ),
    "a pass without its output function": (
        {"methods.trak-4.features": "t4"},
        "methods.trak-4.features",
        "t4/loss",
    ),
    "a gradient method without features": (
        {"methods.ekfac": {"method": "ekfac"}},
        "methods.ekfac.features",
        "missing t4/loss",
    ),
    "a pixel method with features": (
        {"methods.pixel-dot": {"method": "pixel-dot", "features": "t4/loss"}},
        "methods.pixel-dot.features",
        "pixel-dot reads no features",
    ),
    "random scores with features": (
        {"methods.random": {"method": "random", "features": "t4/loss"}},
        "methods.random.features",
        "random reads no features",
    ),
    "trak on the features of d-trak": (
        {"methods.trak-4.features": "t4/mean-squared-l2-norm"},
        "methods.trak-4.features",
        "mean-squared-l2-norm trak loss",
    ),
    "d-trak on the features of trak": (
        {"methods.d-trak-4.features": "t4/loss"},
        "methods.d-trak-4.features",
        "loss d-trak mean-squared-l2-norm",
    ),
    "subsets without an image": (
        {"measurement.subsets.lds.fraction": 0.001},
        "measurement.subsets.lds.fraction",
        "0.001 0 48",
    ),
    "subsets with every image": (
        {"measurement.subsets.retrain.fraction": 0.999},
        "measurement.subsets.retrain.fraction",
        "0.999 48",
    ),
    "every training image planted": ({"data.n_planted": 48}, "data.n_planted", "48"),
    "more planted than training images": ({"data.n_planted": 49}, "data.n_planted", "49 48"),
    "two subsets": ({"measurement.subsets.lds.count": 2}, "measurement.subsets.lds.count", "2 3"),
    "no subset": ({"measurement.subsets.lds.count": 0}, "measurement.subsets.lds.count", "0 3"),
    "more folds than held-out queries": (
        {"measurement.lds.folds": 11, "data.n_val": 10, "sampling.n_images": 11},
        "measurement.lds.folds",
        "11 10 data.n_val",
    ),
    "more folds than generated queries": (
        {"measurement.lds.folds": 11, "data.n_val": 11, "sampling.n_images": 10},
        "measurement.lds.folds",
        "11 10 sampling.n_images",
    ),
    "a network for images of another size": (
        {"model.config.sample_size": 16},
        "model.config.sample_size",
        "16 8",
    ),
    "a resolution that does not halve": (
        {"data.resolution": 7, "model.config.sample_size": 7},
        "model.config.block_out_channels",
        "2 1 7",
    ),
    "a resolution that halves once only": (
        {"data.resolution": 6, "model.config.sample_size": 6, **LEVELS},
        "model.config.block_out_channels",
        "3 2 6",
    ),
    "dropout in stacked models": (
        {"model.config.dropout": 0.1},
        "jobs.models_per_stack",
        "4 1 dropout",
    ),
    "a schedule that runs backwards": (
        {"noise_schedule.beta_start": 0.03},
        "noise_schedule.beta_start",
        "0.03 0.02",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_impossible_is_refused_in_one_line_that_starts_with_the_key(what):
    changes, key, words = IMPOSSIBLE[what]
    assert_refused(benchmark, changes, key=key, words=words)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "features.t4.n_timesteps": 1000,
            "measurement.losses.n_timesteps": 1000,
            "sampling.n_steps": 1000,
        },
        {"features.t4.projector": {"kind": "none"}},
        {"features.t4.projector": {**SJLT, "nonzeros": 256}},
        {"features.t4.projector": {"kind": "fast-jl", "k": 1024}},
        {"data.n_planted": 47},
        {"data.n_planted": 0},
        {"measurement.subsets.lds.count": 3},
        {"measurement.subsets.lds.fraction": 0.02},  # round(0.96) = 1 image
        {"measurement.lds.folds": 10, "data.n_val": 10, "sampling.n_images": 10},
        {"model.config.dropout": 0.1, "jobs.models_per_stack": 1},
        {"noise_schedule.beta_start": 0.02},
        {"model.config.sample_size": DELETED},
        {"model.config.down_block_types": None},  # the network refuses it
        LEVELS,
    ],
    ids=str,
)
def test_values_at_their_limits_are_allowed(changes):
    benchmark(changes)


def test_all_that_is_impossible_is_said_at_once():
    changes = {
        "data.n_planted": 48,
        "measurement.losses.n_timesteps": 1001,
        "features.t4.projector": {"kind": "normal"},
        "methods.trak-8.features": "t9/loss",
        "model.config.sample_size": 16,
    }
    with pytest.raises(ConfigError) as caught:
        benchmark(changes)
    starts = sorted(line.partition(":")[0] for line in str(caught.value).splitlines())
    assert starts == sorted(
        [
            "data.n_planted",
            "measurement.losses.n_timesteps",
            "features.t4.projector.k",
            "methods.trak-8.features",
            "model.config.sample_size",
        ]
    )
