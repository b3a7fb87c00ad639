"""What jobs ask of a cluster, against sums by hand."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from changed_config import REPOSITORY, assert_refused, benchmark

from diffattr import cluster, plan
from diffattr.cluster import Requests, Site, kind_of, place_of, read_site
from diffattr.plan import ACCELERATORS, CALIBRATION, NetworkSize

SIZE = NetworkSize(n_parameters=1000, forward_flops=2_000_000)
LARGE = NetworkSize(n_parameters=40_000_000, forward_flops=12_000_000_000)
EVERY = "configs/every-method.yaml"
PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text())
COMPONENTS = {name: int(n) for name, n in (g.split("=") for g in PROFILE["group-components"])}


def requests(size=SIZE, site=None, changes=None, name="configs/smoke.yaml"):
    return Requests(benchmark(changes, name), size, site or Site())


# --- memory and time --------------------------------------------------------------------------


def test_a_training_job_asks_for_its_weights_six_times_and_once_more_per_model():
    asked = requests(LARGE, changes={"jobs.gpus": 1})
    block = asked.job("train_block", asked.benchmark.paths.block("lds", 0, 0))
    # 4 models, all in one stack, and twice the 48 images of 8x8 pixels; 5000 MB for CUDA.
    held = (4 + 6 * 4) * 40e6 * 4 + 2 * 48 * 64 * 4
    assert asked.memory_mb(block, attempt=1) == pytest.approx(5000 + held / 1e6, abs=1)


def test_a_kernel_asks_for_its_features_and_four_matrices():
    changes = {"data.n_train": 1000, "features.t4.projector": {"kind": "sjlt", "k": 32768}}
    asked = requests(changes=changes)
    kernel = asked.job("kernel", asked.benchmark.paths.kernel("t4", "loss", "full"))
    held = 1000 * 32768 * (4 + 8) + 4 * 1000 * 1000 * 8
    assert asked.memory_mb(kernel, attempt=1) == pytest.approx(400 + held / 1e6, abs=1)


def test_every_further_attempt_asks_for_twice_as_much():
    asked = requests(LARGE)
    for job in plan.jobs(asked.benchmark, LARGE):
        for ask in (asked.memory_mb, asked.minutes):
            first = ask(job, 1)
            assert [ask(job, attempt) for attempt in (2, 3)] == [2 * first, 4 * first]
        assert asked.memory_mb(job, 9) == 4 * asked.memory_mb(job, 1)


def test_time_is_twice_the_estimate_on_the_slowest_card_and_ten_minutes():
    asked = requests(LARGE, changes={"jobs.gpus": 1, "training.epochs": 2000})
    job = asked.job("train_full", asked.benchmark.paths.network(42) + "/config.json")
    seconds = 20 + 2000 * 48 * 3 * 12e9 / (156e12 * 0.15)
    assert asked.minutes(job, 1) == pytest.approx(10 + 2 * seconds / 60, abs=1)
    slowest = max(
        plan.cluster_seconds(job, asked.benchmark, LARGE, card) for card in ACCELERATORS.values()
    )
    assert asked.seconds(job) == slowest == pytest.approx(seconds)


def test_no_job_asks_for_more_time_than_the_site_allows():
    site = cluster.Site(network=cluster.Place(max_minutes=15))
    asked = requests(LARGE, site)
    block = asked.job("train_block", asked.benchmark.paths.block("lds", 0, 0))
    assert requests(LARGE).minutes(block, 3) > 15
    assert [asked.minutes(block, attempt) for attempt in (1, 2, 3)][-1] == 15


def test_a_job_that_the_benchmark_does_not_need_is_taken_for_the_largest_of_its_rule():
    asked = requests(LARGE)
    of_a_checkpoint = asked.benchmark.paths.features("t8", "gen", "0000", "full-step-9")
    largest = max(
        (job for job in plan.jobs(asked.benchmark, LARGE) if job.rule == "features"),
        key=asked.seconds,
    )
    assert asked.job("features", of_a_checkpoint) == largest
    # No method of this benchmark has maps.
    assert asked.job("maps", "results/smoke/maps/nda/val.zarr.zip").rule == "maps"


# --- where ------------------------------------------------------------------------------------


def test_jobs_through_the_network_ask_for_gpus_and_their_partition_and_no_others():
    site = Site(account="lab", network=cluster.Place(partition="gpu", constraint="a100"))
    everything = {rule: place_of(rule, 1, site) for rule in CALIBRATION}
    for rule in ("train_full", "train_block", "losses", "features", "generate", "redraw"):
        assert everything[rule] == {
            "gpu": 1,
            "slurm_account": "lab",
            "slurm_partition": "gpu",
            "constraint": "a100",
        }
    for rule in ("data", "kernel", "predictions", "scores", "build_report", "removals"):
        assert everything[rule] == {"slurm_account": "lab"}
    assert [kind_of(rule) for rule in ("kernel", "scores", "lds_of_method")] == ["matrix"] * 3


def test_without_a_site_file_nothing_but_gpus_is_asked_for(tmp_path):
    assert read_site(tmp_path / "site.yaml") == Site()
    (tmp_path / "site.yaml").write_text("# account: lab\n")
    assert read_site(tmp_path / "site.yaml") == Site()
    assert place_of("features", 0, Site()) == {"gpu": 0}
    assert place_of("kernel", 1, Site()) == {}


def test_the_example_of_a_site_file_has_every_key():
    path = REPOSITORY / "profiles" / "slurm" / "site.example.yaml"
    raw, site = yaml.safe_load(path.read_text()), read_site(path)
    assert set(raw) == set(Site.__struct_fields__)
    assert set(raw["network"]) == set(cluster.Place.__struct_fields__)
    assert site.network.max_minutes == 1440
    assert site.modules == ("cuda/12.4",)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("acount: lab", "acount", "unknown key did you mean 'account'?"),
        ("network: {partitions: gpu}", "network.partitions", "unknown key 'partition'"),
        ("network: {max_minutes: 0}", "network.max_minutes", "found 0 at least 1"),
        ("modules: cuda", "modules", 'found "cuda" expected array'),
        ('modules: ["cuda; rm -r x"]', "modules.0", "cuda;"),
        ("modules: ['$(true)']", "modules.0", "$(true)"),
        ("- lab", "(top level)", "expected object"),
        ("account: {", "not YAML", "expected"),
    ],
)
def test_a_mistake_in_the_site_file_is_one_sentence(tmp_path, text, key, words):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    assert_refused(read_site, path, key=f"{path}: {key}", words=words)


# --- which go out together --------------------------------------------------------------------


def test_short_jobs_go_out_in_groups_and_long_ones_alone():
    short, long = requests(SIZE), requests(NetworkSize(1000, 10**13))
    for rule in ("train_block", "losses", "features"):
        for asked, group in ((short, cluster._IF_SHORT[rule]), (long, None)):
            jobs = plan.jobs(asked.benchmark, asked.size)
            assert {asked.group(job) for job in jobs if job.rule == rule} == {group}


def test_the_number_of_cluster_jobs_is_the_one_counted_by_hand():
    """Smoke: of each pass 2 methods have a lambda; others begin with scores on three splits."""
    asked = requests()
    jobs = plan.jobs(asked.benchmark, SIZE)
    parts = [("subsets", 2), ("training", 4), ("losses", 8), ("measurements", 2)]
    parts += 2 * [("features", 5), ("kernels", 2), ("attribution", 2 * 2 + 2 * 3)]
    parts += [("attribution", 3 * 3)]  # random and pixels
    alone = 1 + 1 + 1 + 2 + 1 + 1  # data, full model, queries, checks, planted truth, report
    assert asked.n_cluster_jobs(jobs, {}) == alone + sum(n for _, n in parts)
    assert all(n <= COMPONENTS[name] for name, n in parts)
    assert asked.n_cluster_jobs(jobs, COMPONENTS) == alone + len(parts)
    # LDS alone, of predictions that are there.
    left = [job for job in jobs if job.rule == "lds_of_method"]
    assert asked.n_cluster_jobs(left, COMPONENTS) == 3


def test_the_profile_says_of_every_group_how_many_jobs_go_out_together():
    assert set(COMPONENTS) == {*cluster._CHAINS.values(), *cluster._IF_SHORT.values()}


def test_members_of_a_group_run_in_the_same_place():
    """Snakemake refuses a group whose members name different partitions."""
    kinds = {}
    for stage, group in (cluster._CHAINS | cluster._IF_SHORT).items():
        kinds.setdefault(group, set()).add(kind_of(stage.split("_direct")[0].split("_re")[0]))
    assert all(len(found) == 1 for found in kinds.values())


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
    size = cluster.known_size(benchmark(name=EVERY))
    assert size is not None
    asked = requests(size, name=EVERY)
    assert found == asked.n_cluster_jobs(plan.jobs(asked.benchmark, size), COMPONENTS) > 50


# --- the network's size -----------------------------------------------------------------------


def test_the_network_s_size_is_kept_until_the_network_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = iter([SIZE, LARGE])
    monkeypatch.setattr(cluster, "network_size", lambda benchmark: next(sizes))
    smoke = benchmark()
    assert cluster.known_size(smoke) is None
    assert [cluster.kept_size(smoke) for _ in range(3)] == [SIZE] * 3
    # Neither more images nor another recipe is another network.
    assert cluster.known_size(benchmark({"data.n_train": 40, "training.epochs": 9})) == SIZE
    wider = benchmark({"model.config.block_out_channels": [8, 32]})
    assert cluster.known_size(wider) is None
    assert cluster.kept_size(wider) == LARGE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', '{"n_parameters": 3}'])
def test_a_damaged_size_is_no_size(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / cluster.size_path(benchmark())
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert cluster.known_size(benchmark()) is None


def test_a_known_size_loads_no_torch(tmp_path):
    """Every start of Snakemake asks for it, two for each cluster job."""
    code = (
        "import sys, json, yaml\n"
        "from diffattr.benchmark import Benchmark\n"
        "from diffattr.cluster import known_size\n"
        "from diffattr.config import Config\n"
        "import msgspec\n"
        "raw = yaml.safe_load(open(sys.argv[1]))\n"
        "print(known_size(Benchmark(msgspec.convert(raw, Config))))\n"
        "print(sorted({'torch', 'diffusers', 'zarr', 'sklearn'} & set(sys.modules)))\n"
    )
    kept = {"key": cluster._size_key(benchmark()), "n_parameters": 5, "forward_flops": 7}
    path = tmp_path / cluster.size_path(benchmark())
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(kept))
    command = [sys.executable, "-c", code, str(REPOSITORY / "configs" / "smoke.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(NetworkSize(5, 7)), "[]"]
