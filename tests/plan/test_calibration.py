"""Times of jobs: measured, calibrated, and assumed of GPUs."""

import numpy as np
import pytest
from changed_config import benchmark
from dags import CIFAR, CIFAR_CHANGES, SIZE, by_rule, jobs_of

from diffattr.artifacts import provenance_path, write_json
from diffattr.plan.calibration import (
    ACCELERATORS,
    CALIBRATION,
    DEFAULTS,
    calibration_of,
    cluster_seconds,
    unit_costs,
)
from diffattr.plan.work import RULES, kind_of


def measure(path, seconds):
    write_json(provenance_path(path), {"seconds": seconds})


def test_only_rules_are_calibrated_and_others_cost_what_is_usual_for_their_kind():
    assert set(CALIBRATION) < set(RULES)
    others = [rule for rule in RULES if rule not in CALIBRATION]
    assert {"kernel", "scores", "build_report"} <= set(others)
    assert all(calibration_of(rule) == DEFAULTS[kind_of(rule)] for rule in others)
    # Only the network's jobs take longer with a larger network.
    per_gflop = {rule for rule in RULES if calibration_of(rule).per_gflop}
    assert per_gflop == {rule for rule in RULES if kind_of(rule) == "network"}


def test_unit_costs_are_measured_where_there_are_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = jobs_of()
    trained = [job for job in planned if job.rule == "train_block"]
    scored = [job for job in planned if job.rule == "scores"]
    measure(trained[0].outputs[0], 3.0)
    measure(trained[1].outputs[0], 5.0)
    measure(scored[0].outputs[0], 2.0)
    measure(scored[1].outputs[0], 4.0)
    costs = unit_costs(planned, SIZE)
    # 4 and 2 models, 3 epochs, 24 images, forward and backward: 3 x 2 MFLOP an image.
    work = [members * 3 * 24 * 6e-3 for members in (4, 2)]
    assert [job.work.gflops(SIZE) for job in trained[:2]] == pytest.approx(work)
    assert costs["train_block"].per_gflop == pytest.approx(8.0 / sum(work))
    assert costs["train_block"].n_measured == 2
    assert costs["scores"].seconds(scored[5].work, SIZE) == pytest.approx(3.0)
    assert costs["losses"].n_measured == 0
    losses = next(job for job in planned if job.rule == "losses")
    table = CALIBRATION["losses"]
    expected = table.per_job + table.per_gflop * losses.work.forwards * 2e-3
    assert costs["losses"].seconds(losses.work, SIZE) == pytest.approx(expected)


def test_the_time_of_what_was_measured_adds_up_to_the_measurement(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = jobs_of()
    seconds = np.arange(1.0, len(planned) + 1)
    for job, time in zip(planned, seconds, strict=True):
        measure(job.outputs[0], time)
    costs = unit_costs(planned, SIZE)
    total = sum(costs[job.rule].seconds(job.work, SIZE) for job in planned)
    assert total == pytest.approx(seconds.sum())


# --- GPUs -------------------------------------------------------------------------------------


def test_times_on_gpus_are_work_at_the_assumed_share_of_the_peak():
    jobs, whole = by_rule(jobs_of(CIFAR_CHANGES, size=CIFAR)), benchmark(CIFAR_CHANGES)
    block, losses = jobs["train_block"][0].work, jobs["losses"][0].work
    # 4 models, 200 epochs of 2500 images, three times the forward pass.
    work = 4 * 200 * 2500 * 3 * 12.1e9
    for name, peak, share in [("A100", 156e12, 0.15), ("H100", 495e12, 0.10)]:
        seconds = cluster_seconds("train_block", block, whole, CIFAR, ACCELERATORS[name])
        assert seconds == pytest.approx(20 + work / (peak * share))
    in_bf16 = benchmark({**CIFAR_CHANGES, "training.mixed_precision": "bf16"})
    seconds = cluster_seconds("train_block", block, in_bf16, CIFAR, ACCELERATORS["A100"])
    assert seconds == pytest.approx(20 + work / (312e12 * 0.15))
    seconds = cluster_seconds("losses", losses, in_bf16, CIFAR, ACCELERATORS["A100"])
    assert seconds == pytest.approx(20 + 4 * 1000 * 3 * 1000 * 12.1e9 / (156e12 * 0.15))
