"""What jobs request from a cluster, against sums by hand."""

import pytest
from changed_config import benchmark
from dags import SIZE, SMOKE, jobs_of

from diffattr.cluster.requests import Requests
from diffattr.cluster.site import Place, Site
from diffattr.plan.calibration import ACCELERATORS, cluster_seconds
from diffattr.plan.network import NetworkSize

LARGE = NetworkSize(n_parameters=40_000_000, forward_flops=12_000_000_000)
BLOCK = {"group": "lds", "seed": "0", "block": "0"}


def requests(size=SIZE, site=None, changes=None, name=SMOKE):
    return Requests(benchmark(changes, name), size, site or Site())


def test_a_training_job_requests_its_weights_six_times_and_once_more_per_model():
    requested = requests(LARGE, changes={"jobs.gpus": 1})
    # 4 models, all in one stack, and twice the 48 images of 8x8 pixels; 5000 MB for CUDA.
    held = (4 + 6 * 4) * 40e6 * 4 + 2 * 48 * 64 * 4
    assert requested.memory_mb("train_block", BLOCK, attempt=1) == pytest.approx(
        5000 + held / 1e6, abs=1
    )


def test_a_kernel_requests_its_features_and_four_matrices():
    changes = {"data.n_train": 1000, "features.t4.projector": {"kind": "sjlt", "k": 32768}}
    requested = requests(changes=changes)
    kernel = {"gradient_pass": "t4", "output_function": "loss", "model": "full"}
    held = 1000 * 32768 * (4 + 8) + 4 * 1000 * 1000 * 8
    assert requested.memory_mb("kernel", kernel, attempt=1) == pytest.approx(
        400 + held / 1e6, abs=1
    )


def test_every_further_attempt_requests_twice_as_much():
    requested = requests(LARGE)
    for job in jobs_of(size=LARGE):
        named = job.rule, job.wildcards
        for ask in (requested.memory_mb, requested.minutes):
            first = ask(*named, 1)
            assert [ask(*named, attempt) for attempt in (2, 3)] == [2 * first, 4 * first]
        assert requested.memory_mb(*named, 9) == 4 * requested.memory_mb(*named, 1)


def test_time_is_twice_the_estimate_on_the_slowest_card_and_ten_minutes():
    requested = requests(LARGE, changes={"jobs.gpus": 1, "training.epochs": 2000})
    work = requested.work("train_full", {})
    seconds = 20 + 2000 * 48 * 3 * 12e9 / (156e12 * 0.15)
    assert requested.minutes("train_full", {}, 1) == pytest.approx(10 + 2 * seconds / 60, abs=1)
    slowest = max(
        cluster_seconds("train_full", work, requested.benchmark, LARGE, gpu)
        for gpu in ACCELERATORS.values()
    )
    assert requested.seconds("train_full", work) == slowest == pytest.approx(seconds)


def test_no_job_requests_more_time_than_the_site_allows():
    site = Site(network=Place(max_minutes=15))
    requested = requests(LARGE, site)
    assert requests(LARGE).minutes("train_block", BLOCK, 3) > 15
    assert [requested.minutes("train_block", BLOCK, attempt) for attempt in (1, 2, 3)][-1] == 15


def test_libraries_count_by_what_a_job_does():
    requested = requests()
    # The interpreter; with torch. A report holds four times 74 images of 8 x 8 as float32.
    assert requested.memory_mb("select_lambda", {"method": "trak-4", "split": "val"}, 1) == 400
    assert requested.memory_mb("subsets", BLOCK, 1) == 400
    assert requested.memory_mb("build_report", {}, 1) == 1000 + 1
    assert requested.memory_mb("check_features", {"gradient_pass": "t4"}, 1) == 1000 + 1
    # Frozen weights are there in jobs that pass images through the network.
    frozen = requests(NetworkSize(1000, 10, n_frozen=50_000_000))
    assert frozen.memory_mb("check_features", {"gradient_pass": "t4"}, 1) == 1000 + 200 + 1
    assert frozen.memory_mb("subsets", BLOCK, 1) == 400
