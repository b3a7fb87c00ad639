"""A few numbers of every stage, on inputs of its own, so that a change shows at its stage alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tiny import RECIPE, SCHEDULE, images, network

from diffattr import rng
from diffattr.config import Data, Lds, Losses, Pass, ProjectorOptions, Sampling

Numbers = dict[str, list[float]]


def data() -> Numbers:
    from diffattr.data import DATA_SOURCES
    from diffattr.data.splits import split

    options = Data(source="digits", resolution=6, n_train=50, n_val=20, n_planted=5)
    parts = split(DATA_SOURCES["digits"].load(options), options, seed=1)
    return {
        name: [
            *part.positions[:3].tolist(),
            float(np.square(np.concatenate(list(part.chunks()))).mean()),
        ]
        for name, part in parts.items()
    }


def subsets() -> Numbers:
    from diffattr.data.subsets import subset

    labels = np.arange(40) % 4
    chosen = [subset(labels, 0.5, 1, "lds", index) for index in range(4)]
    return {"lds": [float(np.square(positions).sum()) for positions in chosen]}


def latents() -> Numbers:
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
    return {"channels": found[0, :, 0, 0].tolist()}


def training() -> Numbers:
    import tempfile

    from diffattr.diffusion.training import TrainingSet, train

    with tempfile.TemporaryDirectory() as scratch:
        weights = train(
            TrainingSet(images(10), np.arange(10)),
            [np.arange(6), np.arange(4, 10)],
            5,
            RECIPE,
            models_per_stack=2,
            scratch=Path(scratch),
        )
    last = weights[max(weights)]
    return {name: [float(tensor.square().mean())] for name, tensor in sorted(last.items())[:8]}


def sampling() -> Numbers:
    from diffattr.diffusion.sampling import Sampler

    made = Sampler(network(), SCHEDULE, Sampling(n_images=2, n_steps=5), seed=1).images(range(2))
    return {"images": np.abs(made).mean(axis=(1, 2, 3)).tolist()}


def losses() -> Numbers:
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
    return {name: table.ravel().tolist() for name, table in tables.items()}


def measurements() -> Numbers:
    from diffattr.evaluation.measurements import Quantity

    table = rng.generator("numbers", "tables").random((2, 4, 3)).astype(np.float32)
    weighted = Quantity("loss", np.array([4.0, 2.0, 1.0, 0.5]))
    quantities = {"loss": Quantity("loss"), "weighted": weighted}
    return {name: kind.mean(table).ravel().tolist() for name, kind in quantities.items()}


def curvature() -> Numbers:
    from diffattr.config import Curvature
    from diffattr.features.curvature import EkFac

    options = Curvature(n_timesteps=2, draws=1, approximation="expand")
    ekfac = EkFac.fit(network(), images(6), np.arange(6), SCHEDULE, options, 1)
    values = ekfac.eigenvalues
    return {"eigenvalues": [float(values.sum()), float(values.square().sum())]}


def features() -> Numbers:
    from diffattr.features.gradients import GradientPass
    from diffattr.features.output_functions import OUTPUT_FUNCTIONS

    numbers = {}
    for kind, unit_gradients in (
        ("sjlt", False),
        ("sjlt", True),
        ("rademacher", False),
        ("normal", False),
    ):
        options = Pass(
            n_timesteps=3,
            noise="per-image",
            output_functions=tuple(OUTPUT_FUNCTIONS),
            projector=ProjectorOptions(kind=kind, k=16),
            unit_gradients=unit_gradients,
        )
        rows_by_function = GradientPass(network(), SCHEDULE, options, seed=1).features(
            images(2), np.array([4, 8]), "train"
        )
        for function, rows in rows_by_function.items():
            name = f"{kind}{', unit' if unit_gradients else ''}: {function}"
            numbers[name] = [float(value) for value in rows[:, :2].ravel()]
    return numbers


def attribution() -> Numbers:
    from diffattr.attribution import METHODS
    from diffattr.attribution.base import PatchMethod, RetrainingMethod
    from diffattr.attribution.file_scores import FileScores

    generator = rng.generator("numbers", "features")
    train = generator.standard_normal((6, 4)).astype(np.float32)
    queries = generator.standard_normal((2, 4)).astype(np.float32)
    losses = 1 + generator.random((6, 5))
    masks = np.array([generator.permutation(6) < 3 for _ in range(12)])
    measured = generator.standard_normal((12, 2))
    numbers = {}
    for name, method in METHODS.items():
        lam = 0.3 if method.has_lambda else None
        if isinstance(method, FileScores):
            continue
        if isinstance(method, PatchMethod):
            scores = method.scores_of_images(images(6), images(8)[6:], 0.9)
        elif isinstance(method, RetrainingMethod):
            scores = method.scores_from_losses(masks, measured)
        else:
            scores = method.attribute(train, queries, losses=losses).scores(lam)
        numbers[name] = scores[0, :2].tolist()
    return numbers


def embeddings() -> Numbers:
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
    return {"bottleneck": [float(value) for value in embedding(images(3))[:, :2].ravel()]}


def evaluation() -> Numbers:
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
    return {
        "lds": [result.lds],
        "interval": result.interval.both,
        "oracle": [result.oracle.lds],
        "ceiling": [result.ceiling.bound, result.ceiling.one_more_retraining],
        "measured": [result.measured["weighted-mse"].lds],
        "audit": [row.lds for row in audit(scores, masks, measurements, options, 1, "val")],
        "selected lambda": [
            selected_lambda(predictions, [0.1, 1.0, 10.0], measurements, 3, 1, "val")
        ],
    }


def counterfactual() -> Numbers:
    from diffattr.counterfactual.outcomes import pixel_distances
    from diffattr.counterfactual.redrawing import own_losses, redrawn
    from diffattr.counterfactual.removals import removal_order
    from diffattr.counterfactual.result import chance_overlap, summary

    networks = [network()]
    made = redrawn(networks, [5], SCHEDULE, Sampling(n_images=6, n_steps=4), seed=1)
    losses = own_losses(networks, images(1), [5], SCHEDULE, Losses(n_timesteps=3, draws=1), 1)
    values = rng.generator("numbers", "moves").standard_normal((2, 9))
    found = summary(values[0], values[1], 100, 0.9, seed=1)
    order = removal_order(values)["opponents"][:, :3]
    return {
        "distances": [float(pixel_distances(images(1), made)[0])],
        "losses": losses.ravel().tolist(),
        "interval": found.interval,
        "sign test": [found.versus_random.sign_test_p],
        "opponents": order.ravel().tolist(),
        "chance overlap": [chance_overlap(3, 9)],
    }


# The report, and a network that somebody else has trained, have no numbers of their own.
STAGES: dict[str, Callable[[], Numbers]] = {
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
