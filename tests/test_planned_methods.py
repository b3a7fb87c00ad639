"""Methods of a config with their models and files, and the refusal of what they lack."""

import pytest
from changed_config import DELETED, assert_refused, benchmark
from dags import by_rule, jobs_of, scored, trained

from diffattr.config import ConfigError

EVERY = "configs/every-method.yaml"


def of(name, changes=None):
    return benchmark(changes, EVERY).methods[name]


def test_a_method_is_computed_at_the_full_model_by_default():
    method = of("trak-4")
    assert (method.models, method.weights) == (("full",), (1.0,))
    assert (method.gradient_pass, method.output_function) == ("t4", "loss")
    assert method.has_lambda


def test_checkpoints_are_models_named_by_their_step():
    # 48 images in batches of 8, 3 epochs: 18 steps, of which half are 9.
    assert of("gas-4").models == ("full-step-9", "full")
    assert of("trak-4-initial").models == ("full-step-0",)
    turned = of("gas-4", {"methods.gas-4.checkpoints": [1.0, 0.0, 0.5]})
    assert turned.models == ("full-step-0", "full-step-9", "full")
    assert turned.weights == (1.0, 1.0, 1.0)


def test_an_ensemble_of_full_models_uses_the_following_seeds():
    assert of("d-trak-4-full-2").models == ("full", "full-seed-43")
    further = by_rule(jobs_of(name=EVERY))["train_full_seed"]
    assert [dict(job.wildcards) for job in further] == [{"seed": "43"}]


def test_an_ensemble_of_retrained_models_uses_the_first_subsets():
    assert of("trak-4-half-2").models == ("retrain-0-seed-2", "retrain-1-seed-2")


def test_learning_rate_weights_are_means_over_the_steps_since_the_last_checkpoint():
    torch = pytest.importorskip("torch")
    from diffusers.optimization import get_cosine_schedule_with_warmup

    every = benchmark(name=EVERY)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=every.config.training.learning_rate)
    schedule = get_cosine_schedule_with_warmup(optimizer, 2, 18)  # a tenth of 18 steps, upwards
    rates = []
    for _ in range(18):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    expected = [sum(rates[:9]) / 9, sum(rates[9:]) / 9]
    assert every.methods["tracin-learning-rate-4"].weights == pytest.approx(expected, rel=1e-12)
    with_start = of(
        "tracin-learning-rate-4", {"methods.tracin-learning-rate-4.checkpoints": [0.0, 0.5, 1.0]}
    )
    assert with_start.weights == pytest.approx([0, *expected], rel=1e-12)


def test_methods_are_grouped_by_what_they_need():
    groups = {}
    for name, method in benchmark(name=EVERY).methods.items():
        groups.setdefault(method.needs, []).append(name)
    assert groups["no gradients"] == [
        "random",
        "random-1",
        "pixel-dot",
        "pixel-cosine",
        "bottleneck-dot",
        "bottleneck-cosine",
        "nda",
        "nda-two-scales",
    ]
    assert groups["checkpoints"] == ["tracin-4", "tracin-learning-rate-4", "gas-4", "retrac-4"]
    assert groups["retraining"] == [
        "trak-4-half-2",
        "d-trak-4-full-2",
        "empirical-influence",
        "datamodel-10",
    ]
    assert "trak-4-initial" in groups["gradients"]


def test_journey_trak_scores_generated_queries_only():
    every = benchmark(name=EVERY)
    assert every.splits.of("journey-trak-4") == ["gen"]
    assert "journey-trak-4" not in every.splits.methods_of("val")
    inputs = every.inputs.method("journey-trak-4", "gen")
    assert inputs["queries"] == [
        "results/every-method/features/t4/full/gen-trajectory/0000.zarr.zip"
    ]
    assert inputs["train"] == ["results/every-method/features/t4/full/train/0000.zarr.zip"]
    with pytest.raises(ConfigError, match="only generated queries have; found split val, allowed"):
        every.inputs.method("journey-trak-4", "val")


def test_files_of_several_models_are_listed_model_by_model():
    inputs = benchmark(name=EVERY).inputs.method("trak-4-half-2", "val")
    root = "results/every-method"
    assert inputs == {
        "train": [f"{root}/features/t4/retrain-{n}-seed-2/train/0000.zarr.zip" for n in (0, 1)],
        "queries": [f"{root}/features/t4/retrain-{n}-seed-2/val/0000.zarr.zip" for n in (0, 1)],
        "kernels": [f"{root}/kernels/t4/loss/retrain-{n}-seed-2.zarr.zip" for n in (0, 1)],
    }


def test_predictions_of_a_method_without_lambda_are_sums_of_its_scores():
    every = jobs_of(name=EVERY)
    assert scored(every, "trak-4") == {"val", "gen", "planted"}
    assert scored(every, "constructions-loss-t2") == set()
    plain = jobs_of(
        {"sweeps.constructions.method": "gradient-dot", "sweeps.constructions.over": {"k": [64]}},
        EVERY,
    )
    assert scored(plain, "constructions-k64") == {"val", "gen"}


def test_retraining_based_methods_read_losses_and_subsets():
    every = benchmark(name=EVERY)
    inputs = every.inputs.method("datamodel-10", "gen")
    assert inputs["measurements"] == "results/every-method/measurements/retrain/loss/gen.zarr.zip"
    # 12 subsets in blocks of 4.
    assert inputs["subsets"] == [
        f"results/every-method/subsets/retrain/block-{block}.npy" for block in range(3)
    ]
    assert every.methods["datamodel-10"].n_retrained == 10
    assert every.methods["empirical-influence"].n_retrained == 12


@pytest.mark.parametrize(
    ("model", "files"),
    [
        ("full", "models/full/seed-42/"),
        ("full-step-9", "models/full/seed-42/checkpoints/9/"),
        ("full-seed-43", "models/full/seed-43/"),
        ("retrain-5-seed-0", "models/retrain/seed-0/block-1.safetensors"),
    ],
)
def test_every_model_has_its_files(model, files):
    found = benchmark(name=EVERY).models.files(model)
    assert all(path.startswith(f"results/every-method/{files}") for path in found.values())


def test_models_are_only_retrained_if_a_method_needs_them():
    without = {f"methods.{name}": DELETED for name in ("empirical-influence", "datamodel-10")}
    jobs = jobs_of(without, EVERY)
    assert trained(jobs, "retrain") == {(2, 0)}  # for the ensemble of two
    measured = {(w["group"], w["split"]) for w in (j.wildcards for j in by_rule(jobs)["losses"])}
    assert measured == {("lds", "val"), ("lds", "gen")}
    assert trained(jobs_of(), "retrain") == set()


# What is changed in configs/every-method.yaml, the key that the sentence must name, words in it.
IMPOSSIBLE = {
    "a checkpoint that is not kept": (
        {"methods.gas-4.checkpoints": [0.25, 1.0]},
        "methods.gas-4.checkpoints",
        "0.25 full_model.checkpoints",
    ),
    "tracin without checkpoints": (
        {"methods.tracin-4.checkpoints": DELETED},
        "methods.tracin-4.checkpoints",
        "missing tracin 0.5 1.0",
    ),
    "learning rates of the initial weights alone": (
        {"methods.tracin-learning-rate-4.checkpoints": [0.0]},
        "methods.tracin-learning-rate-4.checkpoints",
        "initial later",
    ),
    "checkpoints and an ensemble": (
        {"methods.trak-4-half-2.checkpoints": [0.5]},
        "methods.trak-4-half-2.ensemble",
        "checkpoints",
    ),
    "a larger ensemble than there are models": (
        {"methods.trak-4-half-2.ensemble": {"of": "retrain", "count": 13}},
        "methods.trak-4-half-2.ensemble.count",
        "13 12 subsets.retrain.count",
    ),
    "checkpoints for pixels": (
        {"methods.pixel-dot.checkpoints": [0.5]},
        "methods.pixel-dot.checkpoints",
        "pixel-dot reads no features",
    ),
    "models for features": (
        {"methods.trak-4.models": 3},
        "methods.trak-4.models",
        "trak reads no losses",
    ),
    "an embedding that is not defined": (
        {"methods.bottleneck-dot.embedding": "clip"},
        "methods.bottleneck-dot.embedding",
        "clip bottleneck",
    ),
    "an embedding method without embedding": (
        {"methods.bottleneck-dot.embedding": DELETED},
        "methods.bottleneck-dot.embedding",
        "missing bottleneck",
    ),
    "das on gradients as they are": (
        {"methods.das-4.features": "t4-constructions/mean"},
        "methods.das-4.features",
        "features.t4-constructions.unit_gradients",
    ),
    "retrac on gradients as they are": (
        {"methods.retrac-4.features": "t4/loss"},
        "methods.retrac-4.features",
        "features.t4.unit_gradients",
    ),
    "das on another output function": (
        {"methods.das-4.features": "t4-unit/loss"},
        "methods.das-4.features",
        "loss das mean",
    ),
    "more models than were retrained": (
        {"methods.datamodel-10.models": 13},
        "methods.datamodel-10.models",
        "13 12 subsets.retrain.count",
    ),
    "fewer models than folds can use": (
        {"methods.datamodel-10.models": 9},
        "methods.datamodel-10.models",
        "9 10 datamodel",
    ),
    "an unknown option": (
        {"methods.datamodel-10.options": {"alpha": 1}},
        "methods.datamodel-10.options.alpha",
        "alphas folds",
    ),
    "an option of another type": (
        {"methods.das-4.options": {"leverage": "yes"}},
        "methods.das-4.options.leverage",
        "'yes' bool",
    ),
    "an option of a method that has none": (
        {"methods.trak-4.options": {"leverage": True}},
        "methods.trak-4.options.leverage",
        "none",
    ),
    "a curvature method on plain gradients": (
        {"methods.ekfac-4.features": "t4/loss"},
        "methods.ekfac-4.features",
        "ekfac features.t4.curvature",
    ),
    "a kernel method on a curvature's coordinates": (
        {"methods.trak-4.features": "t4-curvature/loss"},
        "methods.trak-4.features",
        "trak t4-curvature",
    ),
    "patches at a timestep beyond the schedule": (
        {"methods.nda.options": {"timestep": 1000}},
        "methods.nda.options.timestep",
        "1000 noise_schedule.n_timesteps",
    ),
    "patches of even side": (
        {"methods.nda.options": {"patch": 4}},
        "methods.nda.options.patch",
        "4 odd",
    ),
    "a damping of zero": (
        {"methods.ekfac-4.options": {"damping": 0.0}},
        "methods.ekfac-4.options.damping",
        "0.0 more",
    ),
    "a curvature that is not there": (
        {"features.t4-curvature.curvature": "kfac"},
        "features.t4-curvature.curvature",
        "'kfac' ekfac",
    ),
    "a projector behind a curvature": (
        {"features.t4-curvature.projector": {"kind": "sjlt", "k": 64}},
        "features.t4-curvature.projector.kind",
        "sjlt none",
    ),
    "a curvature over too many timesteps": (
        {"curvatures.ekfac.n_timesteps": 1001},
        "curvatures.ekfac.n_timesteps",
        "1001 1000",
    ),
    "a bottleneck without timesteps": (
        {"embeddings.bottleneck.options": {}},
        "embeddings.bottleneck.options",
        "n_timesteps",
    ),
    "a bottleneck of too many timesteps": (
        {"embeddings.bottleneck.options": {"n_timesteps": 1001}},
        "embeddings.bottleneck.options.n_timesteps",
        "1001 1000",
    ),
    "an option that the embedding does not take": (
        {"embeddings.bottleneck.options": {"n_timesteps": 2, "model": "x"}},
        "embeddings.bottleneck.options",
        "model n_timesteps",
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_impossible_is_refused_in_one_line_that_starts_with_the_key(what):
    changes, key, words = IMPOSSIBLE[what]
    assert_refused(benchmark, changes, EVERY, key=key, words=words)


def test_methods_that_learn_from_retrained_models_say_what_to_add():
    changes = {
        "measurement.subsets.retrain.count": 0,
        "methods": {"datamodel": {"method": "datamodel"}},
        "counterfactual": None,
    }
    with pytest.raises(ConfigError) as caught:
        benchmark(changes, EVERY)
    assert str(caught.value) == (
        "methods.datamodel.method: datamodel learns from retrained models, and this benchmark has"
        " none; set measurement.subsets.retrain.count"
    )
