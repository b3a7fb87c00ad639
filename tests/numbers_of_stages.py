"""A few numbers of every stage, on inputs of its own, so that a change shows at its stage alone.

`make numbers` records them with the stages' versions in numbers.json; test_numbers.py compares.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from diffattr import rng
from diffattr.config import (
    Data,
    Lds,
    Losses,
    Model,
    NoiseSchedule,
    Pass,
    ProjectorOptions,
    Recipe,
    Sampling,
    Training,
)
from diffattr.versions import RESULT_VERSION

RECORD = Path(__file__).with_name("numbers.json")

MODEL = Model(
    family="unet2d",
    config={
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": [4, 8],
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "add_attention": False,
    },
)
SCHEDULE = NoiseSchedule(n_timesteps=1000, beta_schedule="linear", beta_start=0.0001, beta_end=0.02)
TRAINING = Training(
    epochs=2,
    batch_size=4,
    learning_rate=0.01,
    warmup_fraction=0.1,
    betas=(0.95, 0.999),
    epsilon=1e-8,
    weight_decay=1e-6,
    clip_norm=1.0,
    horizontal_flip=True,
    mixed_precision="no",
)


def images(n: int) -> np.ndarray:
    return np.tanh(rng.generator("numbers", "images").standard_normal((n, 1, 8, 8))).astype(
        np.float32
    )


def network():
    """Initial weights, made livelier: diffusers starts its output layer near zero."""
    import torch

    from diffattr.diffusion.models import build

    built = build(MODEL, seed=3)
    generator = rng.generator("numbers", "weights")
    with torch.no_grad():
        for parameter in built.parameters():
            noise = generator.standard_normal(tuple(parameter.shape), dtype=np.float32)
            parameter.add_(0.1 * torch.from_numpy(noise))
    return built.eval()


def data() -> list[float]:
    from diffattr.data import DATA_SOURCES
    from diffattr.data.splits import split

    options = Data(source="digits", resolution=6, n_train=50, n_val=20, n_planted=5)
    parts = split(DATA_SOURCES["digits"].load(options), options, seed=1)
    return [
        number
        for part in parts.values()
        for number in (*part.positions[:3].tolist(), float(np.square(part.images).mean()))
    ]


def subsets() -> list[float]:
    from diffattr.data.subsets import subset

    labels = np.arange(40) % 4
    return [float(np.square(subset(labels, 0.5, 1, "lds", index)).sum()) for index in range(4)]


def latents() -> list[float]:
    import tempfile

    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    from diffattr.diffusion.latents import Vae

    with rng.torch_seeded("numbers", "vae"):
        vae = AutoencoderKL(
            block_out_channels=(4, 4),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=2,
        )
    with tempfile.TemporaryDirectory() as folder:
        vae.save_pretrained(Path(folder) / "vae")
        (Path(folder) / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
        pictures = rng.generator("numbers", "pictures").integers(0, 256, (1, 3, 8, 8))
        found = Vae(folder).encode(pictures.astype(np.uint8), (4, 4, 4))
    return found[0, :, 0, 0].tolist()


def training() -> list[float]:
    import tempfile

    from diffattr.diffusion.training import TrainingSet, train

    recipe = Recipe(model=MODEL, noise_schedule=SCHEDULE, training=TRAINING)
    with tempfile.TemporaryDirectory() as scratch:
        weights = train(
            TrainingSet(images(10), np.arange(10)),
            [np.arange(6), np.arange(4, 10)],
            5,
            recipe,
            models_per_stack=2,
            scratch=Path(scratch),
        )
    last = weights[max(weights)]
    return [float(tensor.square().mean()) for name, tensor in sorted(last.items())[:8] if name]


def sampling() -> list[float]:
    from diffattr.diffusion.sampling import generate

    made = generate(network(), 2, SCHEDULE, Sampling(n_images=2, n_steps=5), seed=1)
    return [float(value) for value in np.abs(made).mean(axis=(1, 2, 3))]


def losses() -> list[float]:
    from diffattr.diffusion.losses import loss_tables
    from diffattr.features.output_functions import OUTPUT_FUNCTIONS

    names = ("loss", "mean-squared-l2-norm")
    tables = loss_tables(
        [network()],
        images(3),
        np.array([5, 6, 9]),
        "val",
        SCHEDULE,
        Losses(n_timesteps=4, draws=2),
        1,
        {name: OUTPUT_FUNCTIONS[name] for name in names},
    )
    return [value for table in tables.values() for value in table.ravel().tolist()]


def measurements() -> list[float]:
    from diffattr.evaluation.measurements import Quantity

    table = rng.generator("numbers", "tables").random((2, 4, 3)).astype(np.float32)
    weighted = Quantity("loss", np.array([4.0, 2.0, 1.0, 0.5]))
    return [*Quantity("loss").mean(table).ravel().tolist(), *weighted.mean(table).ravel().tolist()]


def curvature() -> list[float]:
    from diffattr.config import Curvature
    from diffattr.features.curvature import EkFac

    options = Curvature(n_timesteps=2, draws=1, approximation="expand")
    ekfac = EkFac.fit(network(), images(6), np.arange(6), SCHEDULE, options, 1)
    return [float(ekfac.eigenvalues.sum()), float(ekfac.eigenvalues.square().sum())]


def features() -> list[float]:
    from diffattr.features.gradients import GradientPass
    from diffattr.features.output_functions import OUTPUT_FUNCTIONS

    numbers = []
    kinds = (("sjlt", False), ("sjlt", True), ("rademacher", False), ("normal", False))
    for kind, unit_gradients in kinds:
        options = Pass(
            n_timesteps=3,
            noise="per-image",
            output_functions=tuple(OUTPUT_FUNCTIONS),
            projector=ProjectorOptions(kind=kind, k=16),
            unit_gradients=unit_gradients,
        )
        taken = GradientPass(network(), SCHEDULE, options, seed=1).features(
            images(2), np.array([4, 8]), "train"
        )
        numbers += [float(value) for rows in taken.values() for value in rows[:, :2].ravel()]
    return numbers


def attribution() -> list[float]:
    from diffattr.attribution import METHODS
    from diffattr.attribution.base import PatchMethod, RetrainingMethod
    from diffattr.attribution.file_scores import FileScores

    generator = rng.generator("numbers", "features")
    train = generator.standard_normal((6, 4)).astype(np.float32)
    queries = generator.standard_normal((2, 4)).astype(np.float32)
    losses = 1 + generator.random((6, 5))
    masks = np.array([generator.permutation(6) < 3 for _ in range(12)])
    measured = generator.standard_normal((12, 2))
    numbers = []
    for method in METHODS.values():
        lam = 0.3 if method.has_lambda else None
        if isinstance(method, FileScores):
            continue
        if isinstance(method, PatchMethod):
            scores = method.scores_of_images(images(6), images(8)[6:], 0.9)
        elif isinstance(method, RetrainingMethod):
            scores = method.scores_from_losses(masks, measured)
        else:
            scores = method.attribute(train, queries, losses=losses).scores(lam)
        numbers += scores[0, :2].tolist()
    return numbers


def embeddings() -> list[float]:
    from diffattr.config import EmbeddingOptions
    from diffattr.features.embeddings import make

    embedding = make(
        EmbeddingOptions(kind="bottleneck", options={"n_timesteps": 2}),
        network=network(),
        schedule=SCHEDULE,
        seed=1,
        batch_size=2,
        device="cpu",
    )
    return [float(value) for value in embedding(images(3))[:, :2].ravel()]


def evaluation() -> list[float]:
    from diffattr.evaluation.powers import audit
    from diffattr.evaluation.result import evaluate
    from diffattr.evaluation.selection import selected_lambda

    generator = rng.generator("numbers", "evaluation")
    truth = generator.standard_normal((12, 10))
    measurements = truth + 0.5 * generator.standard_normal((2, 12, 10))
    predictions = -truth + generator.standard_normal((3, 12, 10))
    options = Lds(folds=3, resamples=100, confidence=0.9, powers=(0.5,))
    measured = {"loss": measurements, "weighted-mse": 2 * measurements + truth}
    result = evaluate(predictions, [0.1, 1.0, 10.0], measured, options, 1, "val")
    masks = generator.random((12, 8)) < 0.5
    scores = generator.standard_normal((10, 8))
    return [
        result["lds"],
        *result["interval"]["both"],
        result["oracle"]["lds"],
        result["ceiling"]["bound"],
        result["ceiling"]["one_more_retraining"],
        result["measured"]["weighted-mse"]["lds"],
        *(row["lds"] for row in audit(scores, masks, measurements, options, 1, "val")),
        selected_lambda(predictions, [0.1, 1.0, 10.0], measurements, 3, 1, "val"),
    ]


def counterfactual() -> list[float]:
    from diffattr.diffusion.redrawing import own_losses, redrawn
    from diffattr.evaluation.counterfactual import (
        chance_overlap,
        pixel_distances,
        removal_order,
        summary,
    )

    networks = [network()]
    made = redrawn(networks, [5], SCHEDULE, Sampling(n_images=6, n_steps=4), seed=1)
    losses = own_losses(networks, images(1), [5], SCHEDULE, Losses(n_timesteps=3, draws=1), 1)
    values = rng.generator("numbers", "moves").standard_normal((2, 9))
    found = summary(values[0], values[1], 100, 0.9, seed=1)
    order = removal_order(values)["opponents"][:, :3]
    return [
        float(pixel_distances(images(1), made)[0]),
        *losses.ravel().tolist(),
        *found["interval"],
        found["versus_random"]["sign_test_p"],
        *order.ravel().tolist(),
        chance_overlap(3, 9),
    ]


# The report, and a network that somebody else has trained, have no numbers of their own.
STAGES: dict[str, Callable[[], list[float]]] = {
    "data": data,
    "latents": latents,
    "subsets": subsets,
    "training": training,
    "sampling": sampling,
    "losses": losses,
    "measurements": measurements,
    "curvature": curvature,
    "embeddings": embeddings,
    "features": features,
    "attribution": attribution,
    "evaluation": evaluation,
    "counterfactual": counterfactual,
}


if __name__ == "__main__":
    record = {
        stage: {
            "version": RESULT_VERSION[stage],
            "numbers": [float(f"{value:.4g}") for value in numbers()],
        }
        for stage, numbers in STAGES.items()
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
