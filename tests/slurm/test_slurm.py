"""Benchmarks through profiles/slurm on a real cluster: the same bytes, and what can go wrong."""

import copy
import hashlib
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stand_ins
import yaml
from changed_config import raw
from dags import jobs_here
from one_node import obstacle, one_node
from running import NO_DELAY, REPOSITORY, Workflow

from diffattr.artifacts import read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.cluster.requests import Requests, group_sizes, n_cluster_jobs
from diffattr.cluster.site import Site
from diffattr.plan.network import known_size

REASON = obstacle()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


BENCHMARKS = ("configs/mini/cifar2.yaml", "configs/mini/celeba.yaml")
SITE = {"network": {"partition": "gpu"}, "matrix": {"partition": "main"}}
# Files are waited for less long than on a real cluster.
QUICK = ("--latency-wait", "10", *NO_DELAY)
PROFILE = ("--profile", str(REPOSITORY / "slurm"), *QUICK)
# A driver that looks for ended jobs every second. The plugin, asked for every 2 seconds, adds ten
# whenever it finds none: it looks after 2, 14, 36, 68.
SNAKEMAKE = """
import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def sleep(self):
    await asyncio.sleep(1)


RemoteExecutor.sleep = sleep
main()
"""
DRIVER = [sys.executable, "-c", SNAKEMAKE]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with one_node():
        yield


class Built:
    """One benchmark, built on this machine and on the cluster."""

    def __init__(self, name, folder):
        self.name = name
        self.laptop, self.cluster = Workflow(folder / "laptop"), Workflow(folder / "cluster")
        self.cluster.snakemake = DRIVER
        stand_in = folder / "stand-in"
        source = raw(name=name)["data"]["source"]
        stand_ins.main([source, str(stand_in)])
        for workflow in (self.laptop, self.cluster):
            workflow.directory.mkdir()
            workflow.config = raw(name=name)
            workflow.config["data"]["folder"] = str(stand_in)
            (workflow.directory / "site.yaml").write_text(yaml.safe_dump(SITE))
        # Both at once, for each leaves cores idle while one job holds up all others.
        started = time.monotonic()
        with ThreadPoolExecutor() as pool:
            here = pool.submit(self.laptop.run, "all")
            there = pool.submit(self.cluster.run, "all", *PROFILE)
        here.result()
        self.n_submitted = there.result().stderr.count("has been submitted")
        self.seconds = time.monotonic() - started


@pytest.fixture(scope="module", params=BENCHMARKS)
def built(request, cluster, tmp_path_factory):
    return Built(request.param, tmp_path_factory.mktemp("built"))


def digests(workflow):
    """Return the checksum of every file, without what says when and where it was made."""
    found = {}
    for path in sorted(workflow.root.rglob("*")):
        name = path.relative_to(workflow.root).as_posix()
        made = name.startswith("logs/") or name.endswith(".provenance.json")
        # The page of a report shows what was measured; its numbers are compared below.
        if path.is_file() and not made and name not in {"report/index.html", "network.json"}:
            content = path.read_bytes()
            if name == "report/report.json":
                content = json.dumps(without_measured(json.loads(content))).encode()
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def without_measured(report):
    del report["costs"], report["origin"]
    for method in report["methods"]:
        del method["cost"]
    return report


def test_a_cluster_makes_the_same_bytes(built, capsys):
    laptop, cluster = digests(built.laptop), digests(built.cluster)
    assert len(laptop) > 50
    assert cluster == laptop
    with capsys.disabled():
        print(
            f"\n{built.name}: {built.seconds:.0f} s on this machine and at once in"
            f" {built.n_submitted} cluster jobs; {len(laptop)} files with the same bytes"
        )


def test_as_many_cluster_jobs_are_submitted_as_the_plan_says(built, tmp_path, monkeypatch):
    schema = read_json(REPOSITORY / "schemas" / "config.schema.json")
    benchmark = Benchmark(read_config(built.cluster.config, schema, built.name))
    monkeypatch.chdir(built.cluster.directory)
    size = known_size(benchmark)
    assert size is not None
    requests = Requests(benchmark, size, Site())
    # Of nothing that is there.
    monkeypatch.chdir(tmp_path)
    jobs = jobs_here(built.cluster.config, requests.work)
    sizes = group_sizes(REPOSITORY / "profiles" / "slurm" / "config.yaml")
    assert built.n_submitted == n_cluster_jobs(
        jobs, lambda job: requests.group(job.rule, job.wildcards), sizes
    )


def test_what_is_there_is_not_made_again(built):
    for arguments in ((), PROFILE):
        done = built.cluster.run("all", "-n", *arguments)
        assert "Nothing to be done" in done.stdout + done.stderr


WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
EPOCHS_OF_MINUTES = 1200

# --- what goes wrong --------------------------------------------------------------------------

NAMES = ("JobID", "Partition", "MinMemory", "TimeLimit", "tres-per-job", "State", "Comment")
WIDTH = 120
FORMAT = ",".join(f"{name}:{WIDTH}" for name in NAMES)
QUEUE = ("squeue", "--noheader", "--states=all", f"--Format={FORMAT}")


def queue(word):
    """Return the cluster jobs whose comment has a word, the first submitted first."""
    lines = subprocess.run(QUEUE, capture_output=True, text=True, check=True).stdout.splitlines()
    # By width, since a field may hold spaces.
    fields = [[line[i * WIDTH :][:WIDTH].strip() for i in range(len(NAMES))] for line in lines]
    found = [dict(zip(NAMES, of_job, strict=True)) for of_job in fields]
    wanted = [job for job in found if word in job["Comment"]]
    return sorted(wanted, key=lambda job: int(job["JobID"]))


def wait_for(condition, what, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return found


@pytest.mark.parametrize("built", BENCHMARKS[:1], indirect=True)
def test_a_failing_job_holds_up_nothing_else_and_a_cancelled_one_gets_more(built, tmp_path):
    """More methods for a finished benchmark: one on the features there are, one on others.

    Features ask for a GPU, which SLURM gives and this machine has not: their job fails for good.
    """
    shutil.copytree(built.cluster.directory, tmp_path, dirs_exist_ok=True)
    workflow = Workflow(tmp_path)
    workflow.config = copy.deepcopy(built.cluster.config)
    passes = workflow.config["features"]
    name, taken = next(iter(passes.items()))
    passes["other"] = {**taken, "projector": {"kind": "sjlt", "k": 64}}
    workflow.config["methods"] |= {
        "added": {"method": "gradient-cosine", "features": f"{name}/loss"},
        "failing": {"method": "trak", "features": "other/loss"},
    }
    workflow.config["jobs"]["gpus"] = 1
    before = {job["JobID"] for job in queue("")}

    def new(word):
        return [job for job in queue(word) if job["JobID"] not in before]

    (tmp_path / "config.json").write_text(json.dumps(workflow.config))
    command = [*DRIVER, "all", "--snakefile", REPOSITORY / "Snakefile"]
    output = (tmp_path / "output.txt").open("w")
    driver = subprocess.Popen(
        [*command, "--configfile", "config.json", *PROFILE, "--retries", "1"],
        cwd=tmp_path,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        first = wait_for(lambda: new("attribution"), "the first attempt")[0]
        subprocess.run(["scancel", first["JobID"]], check=True)
        second = wait_for(lambda: new("attribution")[1:], "the second attempt")[0]
        assert driver.wait(timeout=600) == 1
    finally:
        driver.kill()
        output.close()
    said = (tmp_path / "output.txt").read_text()

    assert megabytes(second["MinMemory"]) == 2 * megabytes(first["MinMemory"])
    assert minutes(second["TimeLimit"]) == 2 * minutes(first["TimeLimit"])
    assert (first["Partition"], first["tres-per-job"]) == ("main", "N/A")
    assert new("attribution")[0]["State"] == "CANCELLED"
    assert new("attribution")[1]["State"] == "COMPLETED"

    on_gpu = new("features")
    assert {job["Partition"] for job in on_gpu} == {"gpu"}
    assert all(job["tres-per-job"].endswith("gpu:1") for job in on_gpu)
    assert [job["State"] for job in on_gpu] == ["FAILED", "FAILED"]
    log = f"results/{workflow.config['name']}/logs/features/other/full/train/0000.log"
    assert log in said
    assert "Traceback" in (tmp_path / log).read_text()

    # Without the GPU, all that is left is what failed and what waits for it.
    workflow.config["jobs"]["gpus"] = 0
    assert (workflow.root / "lds" / "added" / "val.json").exists()
    pending = workflow.pending()
    assert all("other" in path for rule in ("features", "kernel") for path in pending[rule])
    assert all("failing" in path for path in pending["lds_of_method"] | pending["scores"])
    assert set(pending) == {
        *("features", "check_features", "kernel", "predictions", "select_lambda"),
        *("lds_of_method", "scores", "build_report"),
    }


def test_a_training_that_runs_out_of_time_goes_on_to_the_same_weights(tmp_path):
    """The site's limit is a minute, the least that SLURM knows; the training takes several."""
    workflows = {name: Workflow(tmp_path / name) for name in ("laptop", "cluster")}
    workflows["cluster"].snakemake = DRIVER
    target = f"results/smoke/models/full/seed-42/{WEIGHTS_FILE}"
    before = {job["JobID"] for job in queue("")}
    for name, workflow in workflows.items():
        workflow.directory.mkdir()
        workflow.config["training"]["epochs"] = EPOCHS_OF_MINUTES
        workflow.config["jobs"]["save_state_every_s"] = 5
        site = {**SITE, "network": {"partition": "gpu", "max_minutes": 1}}
        (workflow.directory / "site.yaml").write_text(yaml.safe_dump(site))
        workflow.run(target, *(() if name == "laptop" else (*PROFILE, "--retries", "9")))
    tried = [job for job in queue("train_full") if job["JobID"] not in before]
    assert len(tried) >= 2
    assert [job["State"] for job in tried] == [*["TIMEOUT"] * (len(tried) - 1), "COMPLETED"]
    assert megabytes(tried[1]["MinMemory"]) == 2 * megabytes(tried[0]["MinMemory"])
    ours, theirs = ((w.directory / target).read_bytes() for w in workflows.values())
    assert ours == theirs


def megabytes(text):
    return int(text.removesuffix("M"))


def minutes(text):
    """Return SLURM's time limit, hours:minutes:seconds, in minutes."""
    *rest, seconds = map(int, text.split(":"))
    assert seconds == 0
    return sum(part * 60**power for power, part in enumerate(reversed(rest)))
