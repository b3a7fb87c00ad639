"""What follows from a config: paths, blocks, shards and inputs."""

import subprocess
import sys

import msgspec
import pytest
from changed_config import benchmark, config
from hypothesis import given
from hypothesis import strategies as st

from diffattr.attribution import METHODS
from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import Paths
from diffattr.benchmark.registries import REGISTRIES
from diffattr.data import DATA_SOURCES
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS

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
    assert found["data-sources"] == sorted(DATA_SOURCES)
    assert found["output-functions"] == sorted(OUTPUT_FUNCTIONS)
    assert found["embeddings"] == sorted(EMBEDDINGS)


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
