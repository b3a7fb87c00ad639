"""The text of the plan."""

import dataclasses

import pytest
from changed_config import benchmark
from dags import CIFAR, CIFAR_CHANGES, SIZE, counts, jobs_of

from diffattr.plan.calibration import unit_costs
from diffattr.plan.text import Plan, duration, size_text

PATHS = benchmark().paths


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (59.4, "59 s"),
        (60.0, "1.0 min"),
        (90.0, "1.5 min"),
        (3600.0, "1.0 h"),
        (5400.0, "1.5 h"),
        (86400.0, "1.0 d"),
        (864000.0, "10.0 d"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_suits_it(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0.0, "0 B"),
        (999.0, "999 B"),
        (1000.0, "1.0 kB"),
        (1.5e6, "1.5 MB"),
        (2.5e9, "2.5 GB"),
        (1e12, "1.0 TB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_a_size_is_written_in_the_unit_that_suits_it(n_bytes, text):
    assert size_text(n_bytes) == text


def text_of(changes=None, left=lambda job: True, size=SIZE, cores=2, gpus=1):
    jobs = jobs_of(changes, size=size)
    jobs = [dataclasses.replace(job, is_left=left(job)) for job in jobs]
    return Plan(benchmark(changes), jobs, size, lambda some: len(some) // 3, cores, gpus).text()


def table_rows(text):
    """Return the cells of each row of a Markdown table, by the row's first cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_the_plan_has_the_whole_benchmark_and_what_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left = {PATHS.block("lds", 1, 1), PATHS.measurements("lds", "gen")}
    text = text_of(left=lambda job: job.name in left)
    whole, rest = text.split("## Left to do now")
    assert "1,000 parameters" in whole
    assert "2.0 MFLOP" in whole
    rows = table_rows(whole)
    expected = counts(jobs_of())
    for rule, numbers in expected.items():
        assert rows[rule][:4] == [f"{number:,}" for number in numbers]
    totals = [f"{sum(column):,}" for column in zip(*expected.values(), strict=True)]
    assert rows["total"][:4] == totals
    # 122 jobs; the test's cluster takes three at a time.
    assert "With `--profile slurm`, 122 jobs would be submitted as 40 cluster jobs." in whole
    rows = table_rows(rest)
    assert {"train_block", "measurements"} == set(rows) & set(expected)
    assert rows["train_block"][:4] == ["1", str(2 * 9), str(2 * 3 * 24), str(2 * 3 * 24)]


def test_the_plan_of_a_finished_benchmark_has_nothing_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = text_of(left=lambda job: False)
    assert text.split("## Left to do now")[1].strip().startswith("Nothing.")


def test_more_cores_than_a_job_s_threads_divide_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = {"jobs.threads": 2}
    costs = unit_costs(jobs_of(changes), SIZE)
    seconds = sum(costs[job.rule].seconds(job.work, SIZE) for job in jobs_of(changes))
    for cores, at_once in [(1, "1 job"), (2, "1 job"), (3, "1 job"), (8, "4 jobs")]:
        text = text_of(changes, cores=cores)
        time = duration(seconds / int(at_once.split()[0]))
        assert f"About {time} with {at_once} at a time ({cores} core" in text


def test_no_number_of_cores_is_faster_than_the_longest_chain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    costs, jobs = unit_costs(jobs_of(), SIZE), jobs_of()
    until = {}
    for job in jobs:
        own = costs[job.rule].seconds(job.work, SIZE)
        until[job.name] = own + max((until[name] for name in job.waits_for), default=0)
    assert f"About {duration(max(until.values()))} with 1,000 jobs" in text_of(cores=1000)


def test_the_plan_of_a_benchmark_on_gpus_has_their_hours_and_the_longest_chain():
    text = text_of(CIFAR_CHANGES, size=CIFAR, gpus=8)
    # Work of all jobs through the network, in images' forward passes, and their number.
    n_full = 3 * 200 * 5000 + 1000 * 50
    passes = n_full + 704 * (3 * 200 * 2500 + 3000 * 2000) + 7000 * 100 * 5 + 400 * (1 + 2 * 2)
    n_jobs = 1 + 1 + 176 + 352 + 14 + 1
    hours = (20 * n_jobs + passes * 12.1e9 / (156e12 * 0.15)) / 3600
    assert f"On A100: {hours:,.1f} GPU-hours" in text
    assert f"with 8 GPUs at least {duration(hours * 3600 / 8)}" in text
    # More cards than blocks do not help: a block of models, its losses on one split, the report.
    chain = 2 * 20 + (4 * 3 * 200 * 2500 + 4 * 3000 * 1000) * 12.1e9 / (156e12 * 0.15)
    wall = text_of(CIFAR_CHANGES, size=CIFAR, gpus=10_000).split("GPUs at least ")[1]
    assert chain < 3600 * float(wall.split(" h")[0]) < chain + 600
    assert "Models: 705." in text
