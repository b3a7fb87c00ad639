"""The finished benchmark is whole: every artifact explains itself and the plan knows them all."""

import contextlib
import json
import subprocess
import sys
from functools import partial

import pytest
from dags import jobs_here
from jsonschema import Draft202012Validator
from running import REPOSITORY

from diffattr.artifacts import checksum, damage, provenance_path, read_json, read_provenance
from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.plan.network import network_size
from diffattr.plan.work import work_of

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="session")
def outputs(each_finished):
    """Every output of the whole benchmark, as Snakemake lists them, and its rule."""
    lines = each_finished.run("all", "--summary").stdout.splitlines()[1:]
    return {line.split("\t")[0]: line.split("\t")[2] for line in lines}


def test_every_artifact_says_what_made_it(each_finished, outputs):
    assert outputs
    for output, rule in outputs.items():
        path = each_finished.directory / output
        assert damage(path) is None, output
        record = read_provenance(path)
        assert record["checksum"] == checksum(path)
        assert record["seconds"] >= 0
        assert record["peak_memory_mb"] > 0
        assert record["versions"]["torch"]
        assert record["config"]["version"] >= 1
        assert record["host"]["cores"] >= 1
        assert record["rule"] == rule
        for name, digest in record["inputs"].items():
            assert digest == checksum(each_finished.directory / name)["sha256"]


def test_what_the_plan_has_left_is_what_snakemake_would_make(workflow, monkeypatch):
    monkeypatch.chdir(workflow.directory)
    workflow.config["measurement"]["lambdas"]["relative"].append(100.0)
    workflow.config["report"]["top"] = 2
    found = {}
    for job in jobs_here(workflow.config):
        if job.is_left:
            names = {output.removeprefix("results/smoke/") for output in job.outputs}
            found[job.rule] = found.get(job.rule, set()) | names
    assert {"predictions", "build_report"} < set(found)
    assert found == workflow.pending()


def test_the_plan_is_printed_and_runs_nothing(finished, empty):
    said = empty.run("plan").stdout
    assert "Plan of benchmark smoke" in said
    assert "calibrated table" in said
    assert not (empty.root / "images").exists()
    done = finished.run("plan").stdout
    left = done.split("## Left to do now")[1]
    assert "Nothing." in left
    assert "measured on" in done


def test_the_plan_predicts_the_bytes_on_disk(each_finished):
    schema = read_json(REPOSITORY / "schemas" / "config.schema.json")
    benchmark = Benchmark(read_config(each_finished.config, schema, "test"))
    with contextlib.chdir(each_finished.directory):
        work = partial(work_of, benchmark, network_size(benchmark))
        jobs = jobs_here(each_finished.config, work)
    by_rule: dict[str, list[int]] = {}
    for job in jobs:
        found = sum(checksum(each_finished.directory / output)["bytes"] for output in job.outputs)
        sums = by_rule.setdefault(job.rule, [0, 0])
        sums[0] += job.work.n_bytes
        sums[1] += found
    for rule in ("train_block", "features", "kernel"):
        expected, found = by_rule[rule]
        # Headers and attributes weigh some kilobytes per file, much next to a smoke benchmark.
        assert expected <= found <= 1.5 * expected + 4000 * len(jobs), rule


def test_the_report_holds_every_method(finished):
    numbers = json.loads((finished.root / "report" / "report.json").read_text())
    schema = json.loads((REPOSITORY / "schemas" / "report.schema.json").read_text())
    Draft202012Validator(schema).validate(numbers)
    table = (finished.root / "report" / "lds.txt").read_text()
    page = (finished.root / "report" / "index.html").read_text()
    for method in finished.config["methods"]:
        assert method in table
        assert method in page
        assert method in json.dumps(numbers)


def test_remaking_an_artifact_gives_the_same_bytes(own_copy):
    target = "results/smoke/features/t4/full/val/0000.zarr.zip"
    before = (own_copy.directory / target).read_bytes()
    own_copy.run(target, "--force")
    assert (own_copy.directory / target).read_bytes() == before


def test_the_slurm_profile_plans_from_the_root_of_the_project():
    # The link `slurm` makes a profile's name enough; the cluster itself is not needed for a plan.
    command = [sys.executable, "-m", "snakemake", "-n", "--profile", "slurm", "--quiet"]
    done = subprocess.run(
        [*command, "--configfile", "configs/smoke.yaml", "--forceall"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_default_benchmark_plans_without_a_config_file():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-s", REPOSITORY / "Snakefile", "--forceall"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/digits/report/index.html" in done.stdout


def test_provenance_lies_beside_the_artifact(finished):
    assert provenance_path(finished.root / "samples" / "gen.npy").exists()
