"""What a benchmark costs, counted by hand, by torch and by Snakemake."""

import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch
from changed_config import CONFIGS, REPOSITORY, benchmark
from torch.utils.flop_counter import FlopCounterMode

from diffattr import plan
from diffattr.artifacts import provenance_path, write_json
from diffattr.diffusion.models import build, predict
from diffattr.plan import ACCELERATORS, CALIBRATION, Machines, NetworkSize, PlannedJob

EVERY = "configs/every-method.yaml"
SIZE = NetworkSize(n_parameters=1000, forward_flops=2_000_000)

# configs/smoke.yaml by hand. Images: 48 train, 12 val, 4 planted, 10 gen; 6 subsets of 24 images
# with 2 seeds each, in blocks of 4 and 2; 3 epochs in batches of 8; shards of 24 images; passes of
# 4 and 8 timesteps with 2 output functions; 11 methods, 4 of them with 4 lambdas.
N_METHODS = 11
BY_HAND = {
    # rule: (jobs, model-steps, forwards, backwards)
    "data": (1, 0, 0, 0),
    "subsets": (2, 0, 0, 0),
    "train_full": (1, 3 * 6, 3 * 48, 3 * 48),
    "train_block": (2 * 2, 12 * 3 * 3, 12 * 3 * 24, 12 * 3 * 24),
    "generate": (1, 0, 10 * 5, 0),
    "losses": (2 * 2 * 2, 0, 12 * 5 * (12 + 10), 0),
    "measurements": (2, 0, 0, 0),
    "features": (2 * (2 + 1 + 1 + 1), 0, 74 * (4 + 8), 74 * (4 + 8) * 2),
    "check_features": (2, 0, 4 * (4 + 8), 4 * (4 + 8) * 2),
    "kernel": (4, 0, 0, 0),
    "predictions": (2 * N_METHODS, 0, 0, 0),
    "lds_of_method": (2 * N_METHODS, 0, 0, 0),
    "select_lambda": (2 * 4, 0, 0, 0),
    "scores": (3 * N_METHODS, 0, 0, 0),
    "planted": (1, 0, 0, 0),
    "build_report": (1, 0, 0, 0),
}
BYTES_BY_HAND = {
    "data": (48 + 12 + 4) * (64 * 4 + 8 + 8),
    "subsets": 6 * 24 * 8,
    "train_full": 3 * 1000 * 4,  # the end and two checkpoints
    "train_block": 12 * 1000 * 4,
    "losses": 12 * 5 * (12 + 10) * 4,
    "measurements": 12 * (12 + 10) * 8,
    # two output functions of 256 numbers and the losses of 4 and 8 timesteps
    "features": 74 * (2 * 2 * 256 + 4 + 8) * 4,
    "kernel": 4 * (48 * 48 + 48) * 8,  # 48 eigenvectors of 48 numbers, 48 eigenvalues
    "predictions": (7 * 1 + 4 * 4) * 6 * (12 + 10) * 4,
    "scores": N_METHODS * (12 + 10 + 4) * 48 * 4,
}


def by_rule(jobs):
    found = defaultdict(list)
    for job in jobs:
        found[job.rule].append(job)
    return found


def counts(jobs):
    return {
        rule: (
            len(own),
            sum(job.model_steps for job in own),
            sum(job.forwards for job in own),
            sum(job.backwards for job in own),
        )
        for rule, own in by_rule(jobs).items()
    }


def test_jobs_and_passes_of_the_smallest_benchmark_are_those_counted_by_hand():
    assert counts(plan.jobs(benchmark(), SIZE)) == BY_HAND


def test_bytes_of_the_smallest_benchmark_are_those_counted_by_hand():
    found = by_rule(plan.jobs(benchmark(), SIZE))
    sums = {rule: sum(job.n_bytes for job in found[rule]) for rule in BYTES_BY_HAND}
    assert sums == BYTES_BY_HAND


def test_draws_short_batches_and_features_without_projection_are_counted():
    changed = benchmark(
        {
            "measurement.losses.draws": 3,
            "training.batch_size": 10,  # 5 steps of 48 images, 3 of 24
            "features.t4.draws": 2,
            "features.t4.projector": {"kind": "none"},
            "data.n_planted": 0,
        }
    )
    found = counts(plan.jobs(changed, SIZE))
    assert found["losses"][2] == 3 * 12 * 5 * (12 + 10)
    assert found["train_full"][1] == 3 * 5
    assert found["train_block"][1] == 12 * 3 * 3
    assert found["features"] == (2 * 4, 0, 70 * (4 * 2 + 8), 70 * (4 * 2 + 8) * 2)
    features = by_rule(plan.jobs(changed, SIZE))["features"]
    assert sum(job.n_bytes for job in features) == 70 * 4 * (2 * 1000 + 4 + 2 * 256 + 8)


def test_methods_that_need_more_make_more_jobs():
    """configs/every-method.yaml by hand, shards of 48 images, so one per split."""
    plain = {"sweeps": {}, "counterfactual": None}
    found = counts(plan.jobs(benchmark(plain, EVERY), SIZE))
    # The full model with checkpoints at steps 0 and 9, and one of the next seed.
    assert found["train_full"] == (2, 2 * 3 * 6, 2 * 3 * 48, 2 * 3 * 48)
    # 12 more models with one seed, in blocks of 4, evaluated on 12 + 10 + 4 queries.
    assert found["train_block"][0] == 2 * 2 + 3
    assert found["losses"] == (2 * 2 * 2 + 3 * 3, 0, 12 * 5 * (12 + 10) + 12 * 5 * 26, 0)
    # Three quantities of the ground truth, the losses of the others.
    assert found["measurements"][0] == 3 * 2 + 3
    assert found["trajectories"] == (1, 0, 10 * 5, 0)
    assert found["embed"] == (4, 0, (48 + 12 + 10 + 4) * 2, 0)
    # t4 at full, steps 0 and 9, seed 43 and retrained models 0 and 1; t4-unit at full (both
    # functions) and step 9; t8, t4-constructions and t4-curvature at full; each on four splits, and
    # the trajectories of gen.
    assert found["features"][0] == (6 + 2 + 1 + 1 + 1) * 4 + 1
    images = 48 + 12 + 10 + 4
    assert found["features"][2] == images * (8 * 4 + 8 + 4 + 4) + 10 * 5
    assert found["features"][3] == images * (8 * 4 * 2 + 8 * 2 + 4 * 5 + 4) + 10 * 5 * 2
    assert found["curvature"] == (1, 0, 2 * 48 * 2, 2 * 48 * 2)
    # t4/loss at full, step 0, retrain 0 and 1; t4/square at full and seed 43; t8 twice; DAS; five
    # constructions.
    assert found["kernel"][0] == 4 + 2 + 2 + 1 + 5
    assert found["audit_powers"][0] == found["lds_of_method"][0] == 2 * 35 + 1


def test_a_sweep_makes_only_what_is_not_there():
    """Two timesteps are new, four are there; so are 256 dimensions of projector seed 0."""
    without = counts(plan.jobs(benchmark({"sweeps": {}}, EVERY), SIZE))
    found = counts(plan.jobs(benchmark(name=EVERY), SIZE))
    # Cells have no planted queries: train, val and gen of constructions-t2 at the end, and of
    # three projections at step 9 and at the end. All else is there.
    images = 48 + 12 + 10
    more = tuple(a - b for a, b in zip(found["features"], without["features"], strict=True))
    assert more == (
        3 + 3 * 2 * 3,
        0,
        images * 2 + images * 4 * 2 * 3,
        images * 2 * 3 + images * 4 * 2 * 3,
    )
    assert found["kernel"][0] - without["kernel"][0] == 3 + 3 * 2 + 1  # t4 at step 9
    assert found["lds_of_method"][0] - without["lds_of_method"][0] == 2 * (6 + 8)
    assert found["scores"] == without["scores"]
    assert found["check_features"][0] - without["check_features"][0] == 4


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["configs/smoke.yaml", "configs/every-method.yaml"])
def test_the_plan_holds_the_outputs_that_snakemake_would_make(tmp_path, name):
    files = {"--snakefile": "Snakefile", "--configfile": name}
    options = [text for option, file in files.items() for text in (option, REPOSITORY / file)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "all", "--summary", "--cores", "1", *options],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    pending = plan.pending_outputs(done.stdout)
    planned = plan.jobs(benchmark(name=name), SIZE)
    assert {output for job in planned for output in job.outputs} == pending


# --- the network ------------------------------------------------------------------------------

ATTENTION = {
    "model.config.down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "model.config.up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "model.config.add_attention": True,
    "model.config.attention_head_dim": 4,
    "jobs.models_per_stack": 1,
}
ONE_LEVEL = {
    "model.config.block_out_channels": [8],
    "model.config.down_block_types": ["DownBlock2D"],
    "model.config.up_block_types": ["UpBlock2D"],
}


def real_network(changed):
    return build(changed.config.model, seed=0).eval()


def run(network, changed):
    side = changed.config.data.resolution
    channels = changed.config.model.config["in_channels"]
    with torch.no_grad():
        predict(network, torch.zeros(1, channels, side, side), torch.zeros(1))


def multiplications(network, changed):
    """Count the multiply-adds of convolutions and linear layers from the shapes they really see."""
    total = 0

    def count(module, _, output):
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            height, width = module.kernel_size
            total += output.numel() * module.in_channels // module.groups * height * width
        else:
            total += output.numel() * module.in_features

    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    run(network, changed)
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("changes", [{}, ONE_LEVEL], ids=["smoke", "one"])
def test_the_network_s_size_is_that_of_the_real_network(changes):
    changed = benchmark(changes)
    network = real_network(changed)
    found = plan.network_size(changed)
    assert found.n_parameters == sum(weight.numel() for weight in network.parameters())
    with FlopCounterMode(display=False) as counter:
        run(network, changed)
    assert found.forward_flops == counter.get_total_flops()


# Attention blocks (one down, one in the middle, two up) over 4 x 4 = 16 positions of 16 channels:
# queries with keys, and weights with values, neither of them a layer.
IN_ATTENTION = 4 * 2 * 16 * 16 * 16


@pytest.mark.parametrize(
    ("changes", "outside_layers"),
    [({}, 0), (ONE_LEVEL, 0), (ATTENTION, IN_ATTENTION)],
    ids=["smoke", "one", "attention"],
)
def test_the_network_s_operations_are_twice_its_multiplications(changes, outside_layers):
    changed = benchmark(changes)
    counted = 2 * (multiplications(real_network(changed), changed) + outside_layers)
    # Exact, since neither counts biases or additions.
    assert plan.network_size(changed).forward_flops == counted


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_s_network_has_a_size(name):
    whole = benchmark(name=name)
    if whole.models.captioned:
        pytest.importorskip("peft", reason="needs pip install 'diffattr[text-to-image]'")
    found = plan.network_size(whole)
    assert found.n_parameters > 1000
    assert found.forward_flops > found.n_parameters


def test_a_backward_pass_costs_two_forward_passes():
    assert PlannedJob("x", ("a",), forwards=10, backwards=5).gflops(SIZE) == pytest.approx(0.04)


# --- time -------------------------------------------------------------------------------------


def measure(path, seconds):
    write_json(provenance_path(path), {"seconds": seconds})


def test_every_rule_has_a_calibrated_cost():
    every_method = benchmark(name=EVERY)
    others = {"classes", "captions", "encode", "mirror", "pretrained"}
    found = {job.rule for job in plan.jobs(every_method, SIZE)}
    assert found == set(CALIBRATION) - others


def test_every_stage_has_its_place_in_the_chain():
    stages = {job.stage for job in plan.jobs(benchmark(name=EVERY), SIZE)}
    assert stages == set(plan._WAITS_FOR) - {"pretrained"}


def test_unit_costs_are_measured_where_there_are_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = plan.jobs(benchmark(), SIZE)
    trained = [job for job in planned if job.rule == "train_block"]
    scored = [job for job in planned if job.rule == "scores"]
    measure(trained[0].outputs[0], 3.0)
    measure(trained[1].outputs[0], 5.0)
    measure(scored[0].outputs[0], 2.0)
    measure(scored[1].outputs[0], 4.0)
    costs = plan.unit_costs(planned, SIZE)
    # 4 and 2 models, 3 epochs, 24 images, forward and backward: 3 x 2 MFLOP an image.
    work = [members * 3 * 24 * 6e-3 for members in (4, 2)]
    assert [job.gflops(SIZE) for job in trained[:2]] == pytest.approx(work)
    assert costs["train_block"].per_gflop == pytest.approx(8.0 / sum(work))
    assert costs["train_block"].n_measured == 2
    assert costs["scores"].seconds(scored[5], SIZE) == pytest.approx(3.0)
    assert costs["losses"].n_measured == 0
    losses = next(job for job in planned if job.rule == "losses")
    table = CALIBRATION["losses"]
    expected = table.per_job + table.per_gflop * losses.forwards * 2e-3
    assert costs["losses"].seconds(losses, SIZE) == pytest.approx(expected)


def test_the_time_of_what_was_measured_adds_up_to_the_measurement(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = plan.jobs(benchmark(), SIZE)
    seconds = np.arange(1.0, len(planned) + 1)
    for job, time in zip(planned, seconds, strict=True):
        measure(job.outputs[0], time)
    costs = plan.unit_costs(planned, SIZE)
    total = sum(costs[job.rule].seconds(job, SIZE) for job in planned)
    assert total == pytest.approx(seconds.sum())


# --- text -------------------------------------------------------------------------------------

SUMMARY = "\n".join(
    [
        "output_file\tdate\trule\tlog-file(s)\tstatus\tplan",
        "results/x/images/train.npy\tThu Jan  1\tdata\tlogs/data.log\tok\tno update",
        "results/x/lds/trak/val.json\t-\tlds_of_method\tlogs/l.log\tmissing\tupdate pending",
        "results/x/scores/a.zarr.zip\tThu Jan  1\tscores\t\tupdated input files\tupdate pending",
    ]
)


def test_pending_outputs_are_those_that_the_summary_would_update():
    assert plan.pending_outputs(SUMMARY) == {
        "results/x/lds/trak/val.json",
        "results/x/scores/a.zarr.zip",
    }
    assert plan.pending_outputs(SUMMARY.splitlines()[0]) == set()


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
    assert plan.duration(seconds) == text


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
    assert plan.size_text(n_bytes) == text


TWO_CORES = Machines(cores=2)


def text_of(planned, left, machines=TWO_CORES, size=SIZE):
    return plan.plan_text(planned, left, size, machines, len)


def table_rows(text):
    """Return the cells of each row of a Markdown table, by the row's first cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_the_plan_s_text_has_the_whole_and_what_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    smoke = benchmark()
    left = {smoke.paths.block("lds", 1, 1), smoke.paths.measurements("lds", "gen")}
    whole, rest = text_of(smoke, left).split("## Left to do now")
    assert "1,000 parameters" in whole
    assert "2.0 MFLOP" in whole
    rows = table_rows(whole)
    for rule, expected in BY_HAND.items():
        assert rows[rule][:4] == [f"{number:,}" for number in expected]
    totals = [f"{sum(column):,}" for column in zip(*BY_HAND.values(), strict=True)]
    assert rows["total"][:4] == totals
    rows = table_rows(rest)
    assert {"train_block", "measurements"} == set(rows) & set(BY_HAND)
    assert rows["train_block"][:4] == ["1", str(2 * 9), str(2 * 3 * 24), str(2 * 3 * 24)]


def test_the_plan_of_a_finished_benchmark_has_nothing_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = text_of(benchmark(), set())
    assert text.split("## Left to do now")[1].strip().startswith("Nothing.")


def test_more_cores_than_a_job_s_threads_divide_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    smoke = benchmark({"jobs.threads": 2})
    costs = plan.unit_costs(plan.jobs(smoke, SIZE), SIZE)
    seconds = sum(costs[job.rule].seconds(job, SIZE) for job in plan.jobs(smoke, SIZE))
    for cores, lanes in [(1, 1), (2, 1), (3, 1), (8, 4)]:
        text = text_of(smoke, set(), Machines(cores))
        assert f"About {plan.duration(seconds / lanes)} with {lanes} jobs at a time" in text


# --- graphics cards ---------------------------------------------------------------------------

# The network of the D-TRAK paper's CIFAR benchmarks on 5000 images, with 64 x 3 models to measure
# and 512 to learn from. Size: counted in the paper's repository, 12.1 GFLOP a forward pass.
CIFAR = NetworkSize(n_parameters=38_306_691, forward_flops=12_100_000_000)
CIFAR_CHANGES = {
    "data.resolution": 32,
    "data.n_train": 5000,
    "data.n_val": 1000,
    "data.n_planted": 0,
    "model.config": {
        "sample_size": 32,
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": [128, 256, 256, 256],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 2,
        "attention_head_dim": None,
        "norm_num_groups": 32,
        "downsample_padding": 0,
        "resnet_time_scale_shift": "scale_shift",
        "dropout": 0.1,
    },
    "training.epochs": 200,
    "training.batch_size": 128,
    "sampling": {"n_images": 1000, "n_steps": 50},
    "measurement.subsets.lds": {"count": 64, "fraction": 0.5, "seeds": [0, 1, 2]},
    "measurement.subsets.retrain": {"count": 512, "fraction": 0.5, "seeds": [3]},
    "losses": {"n_timesteps": 1000, "draws": 3},
    "features.t4": {
        "n_timesteps": 100,
        "noise": "common",
        "output_functions": ["loss", "mean-squared-l2-norm"],
        "projector": {"kind": "sjlt", "k": 32768},
    },
    "methods": {
        "random": {"method": "random"},
        "trak-100": {"method": "trak", "features": "t4/loss"},
        "d-trak-100": {"method": "d-trak", "features": "t4/mean-squared-l2-norm"},
        "datamodel": {"method": "datamodel", "models": 512},
    },
    "jobs.models_per_block": 4,
    "jobs.models_per_stack": 1,
    "jobs.images_per_shard": 500,
    "jobs.gpus": 1,
}


def at_scale():
    return benchmark(CIFAR_CHANGES)


def test_the_size_of_the_paper_s_network_is_the_one_counted_there():
    found = plan.network_size(at_scale())
    assert found.n_parameters == CIFAR.n_parameters
    # The count there has no attention products, which are 3 % of ours.
    assert found.forward_flops == pytest.approx(CIFAR.forward_flops, rel=0.04)


def test_a_benchmark_of_the_paper_s_size_is_that_counted_by_hand():
    jobs = by_rule(plan.jobs(at_scale(), CIFAR))
    found = counts(plan.jobs(at_scale(), CIFAR))
    # 40 steps an epoch for 5000 images, 20 for 2500; (64 x 3 + 512) models in blocks of 4.
    assert found["train_full"] == (1, 8000, 200 * 5000, 200 * 5000)
    assert found["train_block"] == (176, 704 * 4000, 704 * 200 * 2500, 704 * 200 * 2500)
    assert found["losses"] == (2 * 176, 0, 704 * 1000 * 3 * 2000, 0)
    assert found["features"] == (10 + 2 + 2, 0, 7000 * 100, 7000 * 100 * 2)
    assert sum(job.n_bytes for job in jobs["train_block"]) == 704 * 38_306_691 * 4
    assert sum(job.n_bytes for job in jobs["losses"]) == 704 * 1000 * 2000 * 4
    assert sum(job.n_bytes for job in jobs["features"]) == 7000 * (2 * 32768 + 100) * 4
    # Features as float32 and float64, and four matrices of 5000 x 5000 numbers.
    assert {job.n_held for job in jobs["kernel"]} == {5000 * 32768 * 12 + 4 * 5000**2 * 8}


def test_times_on_cards_are_work_at_the_assumed_share_of_the_peak():
    planned = plan.jobs(at_scale(), CIFAR)
    block = next(job for job in planned if job.rule == "train_block")
    # 4 models, 200 epochs of 2500 images, three times the forward pass.
    work = 4 * 200 * 2500 * 3 * 12.1e9
    for name, peak, share in [("A100", 156e12, 0.15), ("H100", 495e12, 0.10)]:
        seconds = plan.cluster_seconds(block, at_scale(), CIFAR, ACCELERATORS[name])
        assert seconds == pytest.approx(20 + work / (peak * share))
    in_bf16 = benchmark({**CIFAR_CHANGES, "training.mixed_precision": "bf16"})
    seconds = plan.cluster_seconds(block, in_bf16, CIFAR, ACCELERATORS["A100"])
    assert seconds == pytest.approx(20 + work / (312e12 * 0.15))
    losses = next(job for job in planned if job.rule == "losses")
    seconds = plan.cluster_seconds(losses, in_bf16, CIFAR, ACCELERATORS["A100"])
    assert seconds == pytest.approx(20 + 4 * 1000 * 3 * 1000 * 12.1e9 / (156e12 * 0.15))


def test_the_plan_of_a_benchmark_on_cards_has_their_hours_and_the_longest_chain():
    text = text_of(at_scale(), set(), Machines(cores=2, gpus=8), CIFAR)
    # Work of all jobs through the network, in images' forward passes, and their number.
    n_full = 3 * 200 * 5000 + 1000 * 50
    passes = n_full + 704 * (3 * 200 * 2500 + 3000 * 2000) + 7000 * 100 * 5 + 400 * (1 + 2 * 2)
    n_jobs = 1 + 1 + 176 + 352 + 14 + 1
    hours = (20 * n_jobs + passes * 12.1e9 / (156e12 * 0.15)) / 3600
    assert f"On A100: {hours:,.1f} GPU hours" in text
    assert f"with 8 of them at least {plan.duration(hours * 3600 / 8)}" in text
    # More cards than blocks do not help: a block of models, its losses on one split, the report.
    chain = 2 * 20 + (4 * 3 * 200 * 2500 + 4 * 3000 * 1000) * 12.1e9 / (156e12 * 0.15)
    wall = text_of(at_scale(), set(), Machines(2, 10_000), CIFAR).split("of them at least ")[1]
    assert chain < 3600 * float(wall.split(" h")[0]) < chain + 600
    assert "Models: 705." in text


def test_the_longest_chain_takes_the_longest_job_of_each_stage_on_the_way():
    planned = plan.jobs(benchmark(), SIZE)
    seconds = {"train_full": 50.0, "generate": 5.0, "train_block": 30.0, "features": 7.0}
    # data, subsets and all the rest take no time: through the full model to its features.
    time, stages = plan.longest_chain(planned, lambda job: seconds.get(job.rule, 0.0))
    assert time == 62.0
    assert [stage for stage in stages if stage in seconds] == ["train_full", "generate", "features"]
    seconds["losses"] = 40.0
    time, stages = plan.longest_chain(planned, lambda job: seconds.get(job.rule, 0.0))
    assert time == 50.0 + 5.0 + 40.0
    assert [s for s in stages if s in seconds] == ["train_full", "generate", "losses"]


def test_the_longest_chain_goes_through_retraining_without_a_query_s_images():
    every = benchmark(name=EVERY)
    time, stages = plan.longest_chain(plan.jobs(every, SIZE), lambda job: 1.0)
    wanted = ["scores", "removals", "subsets_removed", "train_block_removed", "redraw"]
    assert [stage for stage in stages if stage in wanted] == wanted
    assert time == len(stages)
