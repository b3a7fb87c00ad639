"""What follows from a config: refusals, paths, blocks, shards and params."""

import json
import subprocess
import sys

import msgspec
import pytest
from changed_config import DELETED, assert_refused, benchmark, config
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.attribution import METHODS
from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import Paths
from diffattr.benchmark.registries import REGISTRIES
from diffattr.config import ConfigError
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS
from diffattr.versions import RESULT_VERSION

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


# --- blocks, shards, splits -------------------------------------------------------------------

SMOKE = config()
COUNTS = st.integers(3, 60)
SIZES = st.integers(1, 25)


def resized(*, count=6, models_per_block=4, images_per_shard=24, n_images=None):
    replace = msgspec.structs.replace
    measurement = SMOKE.measurement
    lds = replace(measurement.subsets.lds, count=count)
    return Benchmark(
        replace(
            SMOKE,
            measurement=replace(measurement, subsets=replace(measurement.subsets, lds=lds)),
            jobs=replace(
                SMOKE.jobs, models_per_block=models_per_block, images_per_shard=images_per_shard
            ),
            data=SMOKE.data if n_images is None else replace(SMOKE.data, n_train=n_images),
        )
    )


@given(COUNTS, SIZES)
def test_blocks_partition_the_subsets(count, size):
    blocks = resized(count=count, models_per_block=size).counts.blocks("lds")
    members = [member for block in blocks.values() for member in block]
    assert members == list(range(count))
    assert list(blocks) == list(range(len(blocks)))
    assert all(len(block) == size for block in list(blocks.values())[:-1])
    assert all(1 <= len(block) <= size for block in blocks.values())


@given(COUNTS, st.integers(0, 40), SIZES)
def test_more_subsets_leave_full_blocks_as_they_are(count, more, size):
    before = resized(count=count, models_per_block=size).counts.blocks("lds")
    after = resized(count=count + more, models_per_block=size).counts.blocks("lds")
    assert all(after[number] == block for number, block in before.items() if len(block) == size)


def test_a_group_without_subsets_has_no_block():
    assert benchmark({"measurement.subsets.retrain.count": 0}).counts.blocks("retrain") == {}


@given(st.integers(5, 200), st.integers(1, 60))
def test_shards_partition_the_images(n, size):
    shards = resized(n_images=n, images_per_shard=size).counts.shards("train")
    images = [image for start, stop in shards.values() for image in range(start, stop)]
    assert images == list(range(n))
    assert all(1 <= stop - start <= size for start, stop in shards.values())
    assert list(shards) == sorted(shards)  # names sort in the order of the images


def test_every_split_has_its_number_of_images():
    smoke = benchmark()
    assert [smoke.counts.n_images(split) for split in ("train", "val", "planted", "gen")] == [
        48,
        12,
        4,
        10,
    ]
    assert smoke.splits.queries == ["val", "gen", "planted"]
    assert benchmark({"data.n_planted": 0}).splits.queries == ["val", "gen"]
    assert list(smoke.counts.shards("gen").values()) == [(0, 10)]


@pytest.mark.parametrize(
    ("shares", "steps"),
    [
        ([], []),
        ([0.0], [0]),
        ([0.5, 0.0], [0, 9]),
        ([1.0], []),
        ([0.5, 0.5, 0.51], [9]),
        ([0.1], [2]),
    ],
)
def test_checkpoints_are_shares_of_the_steps_without_the_end(shares, steps):
    # 48 images in batches of 8, 3 epochs: 18 steps.
    assert benchmark({"full_model.checkpoints": shares}).models.checkpoint_steps == steps


# --- methods and their inputs -----------------------------------------------------------------


def test_a_method_s_inputs_are_its_images_or_its_shards_and_kernel():
    smoke = benchmark()
    assert smoke.inputs.method("pixel-dot", "gen") == {
        "train": "results/smoke/samples/train.npy",
        "queries": "results/smoke/samples/gen.npy",
    }
    folder = "results/smoke/features/t4/full"
    shards = [f"{folder}/train/0000.zarr.zip", f"{folder}/train/0001.zarr.zip"]
    gradient = {"train": shards, "queries": [f"{folder}/val/0000.zarr.zip"]}
    assert smoke.inputs.method("gradient-dot-4", "val") == gradient
    kernel = "results/smoke/kernels/t4/mean-squared-l2-norm/full.zarr.zip"
    assert smoke.inputs.method("d-trak-4", "val") == {**gradient, "kernels": [kernel]}


def test_only_kernel_methods_have_a_lambda():
    smoke = benchmark()
    with_lambda = [name for name in smoke.config.methods if smoke.methods[name].has_lambda]
    assert with_lambda == ["trak-4", "trak-8", "d-trak-4", "d-trak-8"]


def test_the_registries_are_those_of_the_packages():
    found = {name: sorted(registry) for name, registry in REGISTRIES.items()}
    assert found["methods"] == sorted(METHODS)
    assert found["projectors"] == sorted(PROJECTORS)
    assert found["data-sources"] == [
        "artbench",
        "celeba",
        "cifar10",
        "digits",
        "fashion-mnist",
        "hub",
        "images",
    ]
    assert found["output-functions"] == sorted(OUTPUT_FUNCTIONS)
    assert found["embeddings"] == sorted(EMBEDDINGS)


# --- paths ------------------------------------------------------------------------------------


def test_paths_default_to_wildcards_and_lie_below_the_benchmark_s_folder():
    paths = Paths("results/x")
    assert paths.losses() == "results/x/losses/{group}/seed-{seed}/block-{block}/{split}.zarr.zip"
    assert paths.losses("lds", 1, 2, "val") == "results/x/losses/lds/seed-1/block-2/val.zarr.zip"
    assert (
        paths.features("t4", "gen", "0000", "full")
        == "results/x/features/t4/full/gen/0000.zarr.zip"
    )
    assert paths.network(42) == "results/x/models/full/seed-42"
    assert paths.network(42, 9) == "results/x/models/full/seed-42/checkpoints/9"


def test_no_two_artifacts_share_a_path():
    paths = Paths("r")
    named = [paths.indices, paths.samples, paths.images, paths.labels, paths.subsets]
    named += [paths.network, paths.block]
    named += [paths.losses, paths.measurements, paths.features, paths.kernel, paths.predictions]
    named += [paths.lds, paths.scores, paths.check]
    assert len({path() for path in named}) == len(named)


# --- params -----------------------------------------------------------------------------------


def test_params_hold_what_they_are_given_and_the_stage_s_version():
    smoke = benchmark()
    text = smoke.params("losses", losses=smoke.config.measurement.losses, seed=3)
    assert json.loads(text) == {
        "losses": {"n_timesteps": 5, "draws": 1},
        "seed": 3,
        "version": RESULT_VERSION["losses"],
    }


def test_params_follow_neither_name_nor_sizes_that_they_are_not_given():
    def text(changes):
        changed = benchmark(changes)
        return changed.params("losses", losses=changed.config.measurement.losses)

    unrelated = {
        "name": "other",
        "training.epochs": 9,
        "jobs.threads": 2,
        "measurement.losses.n_timesteps": 5,
    }
    assert text(unrelated) == text({})
    assert text({"measurement.losses.draws": 2}) != text({})


VALUES = st.dictionaries(
    st.from_regex(r"[a-u]{1,6}", fullmatch=True),
    st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=3),
    max_size=5,
)


@given(VALUES, st.randoms(use_true_random=False))
def test_params_do_not_depend_on_the_order_of_keys(values, random):
    smoke = Benchmark(SMOKE)
    items = list(values.items())
    random.shuffle(items)
    assert smoke.params("data", **dict(items)) == smoke.params("data", **values)
    nested = {"inner": dict(items)}
    assert smoke.params("data", **nested) == smoke.params("data", inner=values)


def test_params_do_not_depend_on_the_order_of_the_network_s_options():
    model = config().model
    turned = msgspec.structs.replace(model, config=dict(reversed(model.config.items())))
    smoke = benchmark()
    assert smoke.params("training", model=turned) == smoke.params("training", model=model)


@given(VALUES, VALUES)
@settings(max_examples=50)
def test_different_params_are_different_texts(first, second):
    smoke = Benchmark(SMOKE)
    same = first == second
    assert (smoke.params("data", **first) == smoke.params("data", **second)) == same


def test_the_version_of_a_stage_is_part_of_its_params_and_of_no_other_s(monkeypatch):
    smoke = benchmark()
    features, losses = smoke.params("features", x=1), smoke.params("losses", x=1)
    monkeypatch.setitem(RESULT_VERSION, "features", RESULT_VERSION["features"] + 1)
    assert smoke.params("features", x=1) != features
    assert smoke.params("losses", x=1) == losses


# --- what Snakemake pays at every start -------------------------------------------------------


def test_importing_the_benchmark_loads_no_heavy_library():
    script = (
        "import sys, diffattr.benchmark\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'zarr', 'matplotlib', 'diffusers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
