"""Which jobs are submitted together, against counts by hand and by Snakemake."""

import re
import subprocess
import sys

import pytest
from changed_config import REPOSITORY, benchmark
from dags import EVERY, SIZE, SMOKE, by_rule, jobs_of

from diffattr.cluster.requests import Requests, group_sizes, n_cluster_jobs
from diffattr.cluster.site import Place, Site, placement
from diffattr.plan.dag import Job
from diffattr.plan.network import NetworkSize, known_size
from diffattr.plan.work import Work

SIZES = group_sizes(REPOSITORY / "profiles" / "slurm" / "config.yaml")


def grouping(size=SIZE, name=SMOKE):
    requests = Requests(benchmark(name=name), size, Site())
    return lambda job: requests.group(job.rule, job.wildcards)


GROUPS = {"train_block": "training", "losses": "losses", "features": "features"}


def test_short_jobs_are_submitted_in_groups_and_long_ones_alone():
    jobs = by_rule(jobs_of())
    for rule, group in GROUPS.items():
        assert {grouping()(job)[0] for job in jobs[rule]} == {group}
        assert {grouping(NetworkSize(1000, 10**13))(job) for job in jobs[rule]} == {None}


def test_chains_of_one_method_are_never_split():
    # Snakemake refuses a group that depends on itself through a job outside.
    group = grouping(NetworkSize(10**9, 10**13))
    rules = ("predictions", "select_lambda", "lds_of_method", "scores")
    jobs = by_rule(jobs_of())
    assert {group(job)[0] for rule in rules for job in jobs[rule]} == {"attribution"}


def test_the_number_of_cluster_jobs_is_the_one_counted_by_hand():
    """Smoke: of each pass 2 methods have a lambda; others begin with scores on three splits."""
    jobs = jobs_of()
    parts = [("subsets", 2), ("training", 4), ("losses", 8), ("measurements", 2)]
    parts += 2 * [("features", 5), ("kernels", 2), ("attribution", 2 * 2 + 2 * 3)]
    parts += [("attribution", 3 * 3)]  # random and pixels
    alone = 1 + 1 + 1 + 2 + 1 + 1  # data, full model, queries, checks, planted copies, report
    assert n_cluster_jobs(jobs, grouping(), {}) == alone + sum(n for _, n in parts)
    assert all(n <= SIZES[name] for name, n in parts)
    assert n_cluster_jobs(jobs, grouping(), SIZES) == alone + len(parts)
    # LDS alone, of predictions that are there.
    left = [job for job in jobs if job.rule == "lds_of_method"]
    assert n_cluster_jobs(left, grouping(), SIZES) == 3


def named(name, *waits_for):
    return Job("rule", {}, (name,), frozenset(waits_for), True, Work())


def test_chains_of_a_part_are_counted_once_however_they_branch():
    jobs = [named("a"), named("b", "a"), named("c", "a"), named("d", "b", "c"), named("e", "out")]
    part = {"a": ("g", "g-1"), "b": ("g", "g-1"), "c": ("g", "g-1"), "d": ("g", "g-1")}
    assert n_cluster_jobs(jobs, lambda job: part.get(job.name), {}) == 1 + 1
    # Another part, and what waits for something outside of the jobs, is another chain.
    part |= {"d": ("g", "g-2"), "e": ("g", "g-1")}
    assert n_cluster_jobs(jobs, lambda job: part.get(job.name), {}) == 2 + 1
    assert n_cluster_jobs(jobs, lambda job: part.get(job.name), {"g": 2}) == 1 + 1


def test_the_profile_says_of_every_group_how_many_jobs_are_submitted_together():
    groups = {job.work.group.name for job in jobs_of(name=EVERY) if job.work.group}
    assert set(SIZES) == groups


def test_members_of_a_group_run_in_the_same_place():
    """Snakemake refuses a group whose members name different partitions."""
    site = Site(**{kind: Place(partition=kind) for kind in ("network", "matrix", "other")})
    places = {}
    for job in jobs_of(name=EVERY):
        if job.work.group:
            place = placement(job.rule, 1, site)
            places.setdefault(job.work.group.name, set()).add(place["slurm_partition"])
    assert all(len(found) == 1 for found in places.values())


@pytest.mark.workflow
def test_snakemake_makes_as_many_cluster_jobs_as_the_plan_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"--snakefile": "Snakefile", "--profile": "slurm", "--configfile": EVERY}
    files = [text for option, file in options.items() for text in (option, REPOSITORY / file)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout + done.stderr
    found = len(re.findall("Group job", said)) + len(re.findall("^rule (?!all:)", said, re.M))
    size = known_size(benchmark(name=EVERY))
    assert size is not None
    jobs = jobs_of(name=EVERY, size=size)
    assert found == n_cluster_jobs(jobs, grouping(size, EVERY), SIZES) > 50
