"""The work of a benchmark's jobs, counted by hand."""

import re

import pytest
from changed_config import REPOSITORY, benchmark, raw
from dags import CIFAR, CIFAR_CHANGES, EVERY, SIZE, by_rule, counts, jobs_of

from diffattr.plan.work import RULES, Work, kind_of, work_of

EVALUATIONS = ("lds_of_method", "audit_powers")
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


def test_jobs_and_passes_of_the_smallest_benchmark_are_those_counted_by_hand():
    assert counts(jobs_of()) == BY_HAND


def test_bytes_of_the_smallest_benchmark_are_those_counted_by_hand():
    found = by_rule(jobs_of())
    sums = {rule: sum(job.work.n_bytes for job in found[rule]) for rule in BYTES_BY_HAND}
    assert sums == BYTES_BY_HAND


def test_draws_short_batches_and_features_without_projection_are_counted():
    changed = jobs_of(
        {
            "measurement.losses.draws": 3,
            "training.batch_size": 10,  # 5 steps of 48 images, 3 of 24
            "features.t4.draws": 2,
            "features.t4.projector": {"kind": "none"},
            "data.n_planted": 0,
        }
    )
    found = counts(changed)
    assert found["losses"][2] == 3 * 12 * 5 * (12 + 10)
    assert found["train_full"][1] == 3 * 5
    assert found["train_block"][1] == 12 * 3 * 3
    assert found["features"] == (2 * 4, 0, 70 * (4 * 2 + 8), 70 * (4 * 2 + 8) * 2)
    features = by_rule(changed)["features"]
    assert sum(job.work.n_bytes for job in features) == 70 * 4 * (2 * 1000 + 4 + 2 * 256 + 8)


def test_methods_that_need_more_make_more_jobs():
    """configs/every-method.yaml by hand, shards of 48 images, so one per split."""
    plain = {"sweeps": {}, "counterfactual": None}
    jobs = jobs_of(plain, EVERY)
    found = counts(jobs)
    # The full model with checkpoints at steps 0 and 9, and one of the next seed.
    for rule, kept in [("train_full", 3), ("train_full_seed", 1)]:
        assert found[rule] == (1, 3 * 6, 3 * 48, 3 * 48)
        assert [job.work.n_bytes for job in by_rule(jobs)[rule]] == [kept * 1000 * 4]
    # 12 more models with one seed, in blocks of 4, evaluated on 12 + 10 + 4 queries.
    assert found["train_block"][0] == 2 * 2 + 3
    assert found["losses"] == (2 * 2 * 2 + 3 * 3, 0, 12 * 5 * (12 + 10) + 12 * 5 * 26, 0)
    # The loss and what is measured beside it of the ground truth, the losses of the others.
    beside = raw(name=EVERY)["measurement"]["lds"]["also_measured"]
    assert found["measurements"][0] == (1 + len(beside)) * 2 + 3
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
    # Every LDS has its audit, on val and gen; Journey TRAK has no scores for val.
    evaluated = {rule: [dict(j.wildcards) for j in by_rule(jobs)[rule]] for rule in EVALUATIONS}
    for expected in (
        {"method": "journey-trak-4", "split": "gen"},
        {"method": "nda", "split": "val"},
    ):
        assert all(expected in found for found in evaluated.values())
    by_split = [
        len({w["method"] for w in evaluated["lds_of_method"] if w["split"] == s})
        for s in ("val", "gen")
    ]
    assert by_split == [len(raw(name=EVERY)["methods"]) - 1, len(raw(name=EVERY)["methods"])]
    assert found["audit_powers"][0] == found["lds_of_method"][0] == sum(by_split)


def test_a_sweep_adds_only_what_is_missing():
    """Two timesteps are new, four are there; so are 256 dimensions of projector seed 0."""
    without = counts(jobs_of({"sweeps": {}}, EVERY))
    found = counts(jobs_of(name=EVERY))
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


def test_a_job_that_the_benchmark_does_not_need_has_its_work_too():
    """The initial model's gradients, which no method of this benchmark reads."""
    shard = {"gradient_pass": "t8", "source": "gen", "shard": "0000", "model": "full-step-0"}
    work = work_of(benchmark(), SIZE, "features", shard)
    assert (work.forwards, work.backwards) == (10 * 8, 10 * 8 * 2)


def test_jobs_in_latents_are_counted_by_their_latents():
    """configs/artbench2.yaml: 4 x 32 x 32 latents of 5000 images of 256 x 256."""
    whole, n = benchmark(name="configs/artbench2.yaml"), 5000
    for rule, wildcards in [("encode", {"split": "train"}), ("mirror", {})]:
        work = work_of(whole, SIZE, rule, wildcards)
        assert (work.forwards, work.n_bytes) == (n, n * 4 * 32 * 32 * 4)


def test_models_that_are_not_kept_take_no_disk():
    blocks = by_rule(jobs_of({"jobs.keep_models": False}))["train_block"]
    assert {job.work.n_bytes for job in blocks} == {0}


def test_every_work_function_is_that_of_a_rule():
    """That every rule has one, `test_dag` holds."""
    text = "".join(path.read_text() for path in REPOSITORY.glob("rules/*.smk"))
    assert set(RULES) <= set(re.findall(r"^ *(?:use )?rule (?:\w+ as )?(\w+)", text, flags=re.M))


def test_a_rule_without_a_work_function_is_named():
    with pytest.raises(LookupError, match="rule lds_of_all: found no work function of this name"):
        kind_of("lds_of_all")


def test_a_backward_pass_costs_two_forward_passes():
    assert Work(forwards=10, backwards=5).gflops(SIZE) == pytest.approx(0.04)


# --- the paper's size -------------------------------------------------------------------------


def test_a_benchmark_of_the_paper_s_size_is_that_counted_by_hand():
    jobs = by_rule(jobs_of(CIFAR_CHANGES, size=CIFAR))
    found = counts(jobs_of(CIFAR_CHANGES, size=CIFAR))
    # 40 steps an epoch for 5000 images, 20 for 2500; (64 x 3 + 512) models in blocks of 4.
    assert found["train_full"] == (1, 8000, 200 * 5000, 200 * 5000)
    assert found["train_block"] == (176, 704 * 4000, 704 * 200 * 2500, 704 * 200 * 2500)
    assert found["losses"] == (2 * 176, 0, 704 * 1000 * 3 * 2000, 0)
    assert found["features"] == (10 + 2 + 2, 0, 7000 * 100, 7000 * 100 * 2)
    assert sum(job.work.n_bytes for job in jobs["train_block"]) == 704 * 38_306_691 * 4
    assert sum(job.work.n_bytes for job in jobs["losses"]) == 704 * 1000 * 2000 * 4
    assert sum(job.work.n_bytes for job in jobs["features"]) == 7000 * (2 * 32768 + 100) * 4
    # Features as float32 and float64, and four matrices of 5000 x 5000 numbers.
    assert {job.work.n_held for job in jobs["kernel"]} == {5000 * 32768 * 12 + 4 * 5000**2 * 8}
