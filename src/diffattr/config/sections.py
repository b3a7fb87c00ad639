"""The sections of a config, and the config that holds them.

The JSON schema (`schemas/config.schema.json`, written by `make schema`) is derived from these types
and the registries. Values that depend on a registry (such as the k of a projector) are checked in
`diffattr.benchmark`.
"""

import math
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from diffattr.config.base import (
    COMPLETED,
    UNIQUE,
    UNIQUE_IF_ANY,
    Fraction,
    Integers,
    Name,
    NonNegative,
    NonNegativeFloat,
    OutputFunction,
    Positive,
    PositiveFloat,
    Section,
    Share,
    Text,
    registered,
)
from diffattr.config.errors import ConfigError
from diffattr.config.methods import Curvature, EmbeddingOptions, MethodOptions, Pass, Sweep

S = TypeVar("S", bound=Section)


def present(section: S | None, name: str) -> S:
    """Return an optional section of a config; raises ConfigError if the config lacks it."""
    if section is None:
        raise ConfigError(
            f"{name}: this section is missing; add it (config.yaml explains every section)"
        )
    return section


class Data(Section, frozen=True):
    """The training images and the real queries.

    Attributes:
        source: the data set.
        resolution: side of the images in pixels; by default the network's.
        n_train: number of training images; by default all images of a folder.
        n_val: held-out queries (split `val`).
        n_planted: training images that are queries too (split `planted`).
        classes: names or labels; None means all.
        folder: the folder of the data set's files.
        hub: name of a data set on the Hugging Face Hub, instead of a folder.
        split: how images are drawn: keyed by the benchmark's seed, or exactly as in the published
            code of D-TRAK.
        unreadable: whether images that cannot be used are errors or skipped.
    """

    source: Annotated[str, registered("data-sources")]
    resolution: Annotated[Positive, COMPLETED]
    n_train: Annotated[int, Meta(ge=2), COMPLETED]
    n_val: NonNegative = 0
    n_planted: NonNegative = 0
    classes: Annotated[tuple[NonNegative | Text, ...], Meta(min_length=1)] | None = None
    folder: Text | None = None
    hub: Text | None = None
    split: Literal["keyed", "d-trak"] = "keyed"
    unreadable: Literal["refuse", "skip"] = "refuse"


class Queries(Section, frozen=True):
    """A folder of query images, the split `val`.

    `n_images` is the number of images in the folder; by default they are counted.
    """

    folder: Text
    n_images: Annotated[Positive, COMPLETED]


class Model(Section, frozen=True):
    """The network.

    `config` holds the arguments of the network's constructor. `pretrained` names an already trained
    network: the folder of its pipeline or the pipeline's name on the Hub; for `sd-lora`, whose
    `config` names the pipeline, the folder of the LoRA.
    """

    family: Annotated[str, registered("model-families")] = "unet2d"
    config: dict[str, Any] = {}
    pretrained: Text | None = None


class NoiseSchedule(Section, frozen=True):
    """The forward process of DDPM (Ho et al. 2020); the defaults are theirs."""

    n_timesteps: Positive = 1000
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "linear"
    beta_start: Fraction = 0.0001
    beta_end: Fraction = 0.02


class Training(Section, frozen=True):
    """The training recipe of the full model and of every subset model.

    AdamW; the learning rate peaks after a linear warm-up and decays by a cosine. `mixed_precision`
    applies on a GPU; on a CPU fp16 is fp32. `caption_drop` is the share of images whose caption is
    replaced by the empty caption, for text-conditioned networks.
    """

    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveFloat
    warmup_fraction: Share = 0.1
    betas: tuple[Fraction, Fraction] = (0.95, 0.999)
    epsilon: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 1e-6
    clip_norm: PositiveFloat = 1.0
    horizontal_flip: bool = False
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    caption_drop: Share = 0.0

    def n_steps(self, n_images: int) -> int:
        """Return the number of optimiser steps; the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(n_images / self.batch_size)

    def learning_rate_factor(self, step: int, n_steps: int) -> float:
        """Return the factor on the peak learning rate: linear warm-up, then a cosine to zero.

        The first step is 0.
        """
        warmup = math.ceil(self.warmup_fraction * n_steps)
        if step < warmup:
            return step / max(1, warmup)
        progress = (step - warmup) / max(1, n_steps - warmup)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


class FullModel(Section, frozen=True):
    """Settings of the full model alone; changing them leaves the subset models unchanged.

    `checkpoints` are the shares of its training after which it is also kept.
    """

    seed: NonNegative = 0
    checkpoints: tuple[Share, ...] = ()


class Recipe(Section, frozen=True):
    """All that defines a trained model except its training images and its seed."""

    model: Model
    noise_schedule: NoiseSchedule
    training: Training


class Sampling(Section, frozen=True):
    """How the queries of split `gen` are generated: DDIM with eta = 0.

    `clip_sample`, `steps_offset` and `set_alpha_to_one` are options of diffusers' `DDIMScheduler`,
    by default those of a pretrained pipeline's scheduler; `guidance` is the guidance scale of
    diffusers' text-to-image pipelines, 1 for none. Text-conditioned networks generate `classes` in
    blocks of equal length, in this order.
    """

    n_images: Positive
    n_steps: Positive = 50
    guidance: PositiveFloat = 1.0
    clip_sample: bool = True
    steps_offset: NonNegative = 0
    set_alpha_to_one: bool = True
    classes: Annotated[tuple[NonNegative | Text, ...], UNIQUE] | None = None


class SubsetGroup(Section, frozen=True):
    """Random subsets of the training set, and the training seeds of each."""

    count: NonNegative
    fraction: Fraction
    seeds: Integers


class Subsets(Section, frozen=True):
    """Groups of subsets: `lds` is the ground truth, `retrain` feeds retraining-based methods."""

    lds: SubsetGroup
    retrain: SubsetGroup = SubsetGroup(count=0, fraction=0.5, seeds=(0,))


class Losses(Section, frozen=True):
    """How the denoising loss is measured: number of timesteps and noise draws."""

    n_timesteps: Positive
    draws: Positive = 1


class Lambdas(Section, frozen=True):
    """The regularisation path of the kernel methods, in units of the mean |phi|^2."""

    relative: Annotated[tuple[PositiveFloat, ...], UNIQUE] = (
        *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
        *(0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
    )


class QueryList(Section, frozen=True):
    """Some queries of one split, by their position."""

    split: Literal["val", "gen"]
    queries: Integers


PRIMARY = "loss"
"""The measured quantity that tables and comparisons report."""


class Lds(Section, frozen=True):
    """How predictions are compared with measurements.

    `also_measured` names output functions that are measured and predicted in addition to the
    denoising loss. `query_lists` are queries on which LDS is reported separately. `powers` are the
    exponents p of the audit that replaces scores by sign(s) |s|^p.
    """

    folds: Annotated[int, Meta(ge=2)] = 5
    resamples: Annotated[int, Meta(ge=100)] = 1000
    confidence: Fraction = 0.95
    also_measured: Annotated[tuple[OutputFunction, ...], UNIQUE_IF_ANY] = ()
    query_lists: dict[Name, QueryList] = {}
    powers: Annotated[tuple[PositiveFloat, ...], UNIQUE_IF_ANY] = ()


class Measurement(Section, frozen=True):
    """The effect of retraining on subsets, the ground truth that methods are compared with."""

    subsets: Subsets
    losses: Losses
    lambdas: Lambdas = Lambdas()
    lds: Lds = Lds()


class Counterfactual(Section, frozen=True):
    """Retraining without the images that methods rank highest, and regenerating the queries.

    Removal lists are compared at all `fractions` of the training set; those in `retrain` are
    removed, and models trained on the rest with each of `seeds`. `opponents` also removes each
    method's lowest scores. `embeddings` measure how much an image changed, in addition to its
    pixels.
    """

    n_queries: Positive
    methods: Annotated[tuple[Name, ...], UNIQUE]
    fractions: Annotated[tuple[Fraction, ...], UNIQUE]
    retrain: Annotated[tuple[Fraction, ...], UNIQUE]
    opponents: bool
    seeds: Integers
    embeddings: Annotated[tuple[Name, ...], UNIQUE_IF_ANY] = ()


class Report(Section, frozen=True):
    """What the report shows.

    It shows `queries` queries of each split, each with its `top` highest and lowest training
    images. `published` names the data set whose published numbers are shown for comparison.
    """

    queries: Positive = 6
    top: Positive = 10
    published: Literal["artbench2", "artbench5", "celeba", "cifar10", "cifar2"] | None = None


class Jobs(Section, frozen=True):
    """How the work is divided into jobs.

    The first three keys are part of an artifact's identity; the others affect only time, memory and
    disk. Without
    `keep_models`, subset models are deleted once everything that depends on them is built, and
    trained again if needed later.
    """

    models_per_block: Positive = 1
    models_per_stack: Positive = 1
    images_per_shard: Positive = 1000
    batch_size: Positive = 64
    threads: Positive = 1
    gpus: NonNegative = 0
    save_state_every_s: NonNegativeFloat = 60.0
    keep_models: bool = True


class Config(Section, frozen=True):
    """One benchmark.

    `training`, `measurement` and `counterfactual` may be absent: a pretrained model is not trained,
    and without measurement there is no LDS. `diffattr.benchmark.completion` fills in missing keys.
    """

    name: Name
    data: Data
    model: Model
    methods: Annotated[dict[Name, MethodOptions], Meta(min_length=1)]
    seed: NonNegative = 0
    noise_schedule: NoiseSchedule = NoiseSchedule()
    training: Training | None = None
    full_model: FullModel = FullModel()
    queries: Queries | None = None
    sampling: Sampling | None = None
    measurement: Measurement | None = None
    features: dict[Name, Pass] = {}
    embeddings: dict[Name, EmbeddingOptions] = {}
    curvatures: dict[Name, Curvature] = {}
    sweeps: dict[Name, Sweep] = {}
    counterfactual: Counterfactual | None = None
    report: Report = Report()
    jobs: Jobs = Jobs()

    @property
    def n_steps(self) -> int:
        """The number of training steps of the full model, 0 if it is pretrained."""
        return 0 if self.training is None else self.training.n_steps(self.data.n_train)

    def step(self, share: float) -> int:
        """Return the step that completes a share of the full model's training."""
        return round(share * self.n_steps)
