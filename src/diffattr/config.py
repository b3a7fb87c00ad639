"""What one config file says, as frozen values; the home of every key's name, type and range.

The JSON schema (`schemas/config.schema.json`, made by `make schema`) is derived from the types
below and the registries. A config is first held against the schema, which names all that is wrong
with it, then converted. Values that only a registry can judge (whether a projector can give a k)
are checked in `diffattr.benchmark`.
"""

import difflib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from diffattr import plugins

T = TypeVar("T")


class ConfigError(ValueError):
    """A config is wrong; the message has one line per error."""


Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*(?![\s\S])", description="a-z, 0-9 and -")]
Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
UNIQUE = Meta(min_length=1, extra_json_schema={"uniqueItems": True})
Seeds = Annotated[tuple[NonNegative, ...], UNIQUE]
Text = Annotated[str, Meta(min_length=1)]


def registered(registry: str) -> Meta:
    """Mark a text whose allowed values are the names of a registry, filled in by `make schema`."""
    return Meta(extra_json_schema={"registry": registry})


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A closed group of keys."""


class Data(Section, frozen=True):
    """Which images there are.

    `classes` are names or label numbers; none stands for all. `split` is how images are drawn:
    `keyed` by the benchmark's seed, `d-trak` as in the paper's published code, index for index.
    `hub` names a data set of the Hugging Face hub in place of a folder. `unreadable` says what
    becomes of images that cannot be used; they are refused where it says nothing. `queries` is a
    folder that val comes from in place of the data set.
    """

    source: Annotated[str, registered("data-sources")]
    resolution: Positive
    n_train: Annotated[int, Meta(ge=2)]
    n_val: NonNegative
    n_planted: NonNegative
    classes: Annotated[tuple[NonNegative | Text, ...], Meta(min_length=1)] | None = None
    folder: str | None = None
    # A key that is UNSET is no part of a job's params, so that benchmarks from before it stand.
    hub: Text | UnsetType = UNSET
    split: Literal["keyed", "d-trak"] | UnsetType = UNSET
    unreadable: Literal["refuse", "skip"] | UnsetType = UNSET
    queries: Text | UnsetType = UNSET


class Model(Section, frozen=True):
    """The network; `config` goes to the family's constructor as it stands."""

    family: Annotated[str, registered("model-families")]
    config: dict[str, Any]


class NoiseSchedule(Section, frozen=True):
    """The forward process of DDPM."""

    n_timesteps: Positive
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
    beta_start: Fraction
    beta_end: Fraction


class Training(Section, frozen=True, omit_defaults=True):
    """The recipe, the same for the full model and for every subset model.

    `mixed_precision` is of a graphics card; on a CPU fp16 is fp32. `caption_drop` is the share of
    images whose caption is left empty, for networks that are told captions.
    """

    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveFloat
    warmup_fraction: Share
    betas: tuple[Fraction, Fraction]
    epsilon: PositiveFloat
    weight_decay: NonNegativeFloat
    clip_norm: PositiveFloat
    horizontal_flip: bool
    mixed_precision: Literal["no", "bf16", "fp16"]
    caption_drop: Share = 0.0

    def n_steps(self, n_images: int) -> int:
        """Return the number of optimiser steps on so many images; the last batch may be short."""
        return self.epochs * math.ceil(n_images / self.batch_size)

    def learning_rate_factor(self, step: int, n_steps: int) -> float:
        """Return what the peak learning rate is multiplied by in a step, the first being 0.

        Linear warm-up, then a cosine to zero.
        """
        warmup = math.ceil(self.warmup_fraction * n_steps)
        if step < warmup:
            return step / max(1, warmup)
        progress = (step - warmup) / max(1, n_steps - warmup)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


class FullModel(Section, frozen=True):
    """What concerns the full model alone, so that a change leaves the subset models as they are.

    `checkpoints` are the shares of its training at which it is kept as well.
    """

    seed: NonNegative
    checkpoints: tuple[Share, ...]


class Recipe(Section, frozen=True):
    """All that defines a trained model, next to its training images and its seed."""

    model: Model
    noise_schedule: NoiseSchedule
    training: Training


class Sampling(Section, frozen=True, omit_defaults=True):
    """How the generated queries are made: DDIM without noise.

    The next four are diffusers' own (`DDIMScheduler`, and the guidance scale of its text-to-image
    pipelines; 1 is none). `classes` are generated in as many blocks of equal length, in this order,
    by networks that are told captions.
    """

    n_images: Positive
    n_steps: Positive
    guidance: PositiveFloat = 1.0
    clip_sample: bool = True
    steps_offset: NonNegative = 0
    set_alpha_to_one: bool = True
    classes: Annotated[tuple[NonNegative | Text, ...], UNIQUE] | None = None


class SubsetGroup(Section, frozen=True):
    """Random subsets of the training set and the seeds each is trained with."""

    count: NonNegative
    fraction: Fraction
    seeds: Seeds


class Subsets(Section, frozen=True):
    """Groups of subsets: `lds` is the ground truth, `retrain` feeds retraining-based methods."""

    lds: SubsetGroup
    retrain: SubsetGroup


class Losses(Section, frozen=True):
    """The measurement: the denoising loss over timesteps and noise draws."""

    n_timesteps: Positive
    draws: Positive


class ProjectorOptions(Section, frozen=True):
    """The random projection of gradients from their full length to k."""

    kind: Annotated[str, registered("projectors")]
    seed: NonNegative = 0
    k: Positive | None = None
    nonzeros: Positive = 1


class Pass(Section, frozen=True):
    """One gradient pass; its output functions share the forward pass and the artifact.

    `noise`: `common` draws one noise per timestep and draw, the same for every image of every
    split, so that a query and a training image are compared under the same noise; `per-image`
    gives every image its own.
    """

    n_timesteps: Positive
    noise: Literal["common", "per-image"]
    output_functions: Annotated[
        tuple[Annotated[str, registered("output-functions")], ...],
        UNIQUE,
    ]
    projector: ProjectorOptions
    timesteps: Literal["uniform", "cumulative"] = "uniform"
    draws: Positive = 1
    unit_gradients: bool = False
    curvature: str | None = None


class Curvature(Section, frozen=True):
    """How an EK-FAC is estimated: uniform timesteps, noise draws at each, and K-FAC's setting."""

    n_timesteps: Positive
    draws: Positive
    approximation: Literal["expand", "reduce"]


class EmbeddingOptions(Section, frozen=True):
    """A way to turn images into vectors without gradients."""

    kind: Annotated[str, registered("embeddings")]
    options: dict[str, Any] = {}


class Ensemble(Section, frozen=True):
    """Models over which a method's scores are averaged.

    `full`: the full model and others of the following seeds; `retrain`: the first models of the
    group `retrain`, each trained on a part of the data.
    """

    of: Literal["full", "retrain"]
    count: Positive


class MethodOptions(Section, frozen=True):
    """A named way to turn features, pixels or nothing into scores.

    `checkpoints` (shares of the full model's training) or `ensemble` say at which models a method
    takes its features; its scores are averaged over them. `models` is how many models of the group
    `retrain` a retraining-based method learns from.
    """

    method: Annotated[str, registered("methods")]
    features: str | None = None
    embedding: str | None = None
    checkpoints: Annotated[tuple[Share, ...], UNIQUE] | None = None
    ensemble: Ensemble | None = None
    models: Positive | None = None
    options: dict[str, Any] = {}


class Axes(Section, frozen=True, rename={"lam": "lambda"}):
    """What a sweep varies; every combination of the values is one cell.

    `checkpoint` is a share of the full model's training, `lambda` one of lambdas.relative.
    """

    output_function: (
        Annotated[tuple[Annotated[str, registered("output-functions")], ...], UNIQUE] | None
    ) = None
    n_timesteps: Annotated[tuple[Positive, ...], UNIQUE] | None = None
    k: Annotated[tuple[Positive, ...], UNIQUE] | None = None
    projector_seed: Annotated[tuple[NonNegative, ...], UNIQUE] | None = None
    checkpoint: Annotated[tuple[Share, ...], UNIQUE] | None = None
    lam: Annotated[tuple[PositiveFloat, ...], UNIQUE] | None = None


class Sweep(Section, frozen=True):
    """One method on variations of one feature set."""

    method: Annotated[str, registered("methods")]
    features: str
    over: Axes


class Lambdas(Section, frozen=True):
    """The regularisation path of the kernel methods, in units of the mean |phi|^2."""

    relative: Annotated[tuple[PositiveFloat, ...], UNIQUE]


class QueryList(Section, frozen=True):
    """Some queries of one split, by their position."""

    split: Literal["val", "gen"]
    queries: Annotated[tuple[NonNegative, ...], UNIQUE]


PRIMARY = "loss"
"""The measured quantity that tables and comparisons are about."""


class Lds(Section, frozen=True):
    """How predictions are held against measurements.

    `also_measured` names output functions that are measured, and predicted, next to the denoising
    loss. `query_lists` are queries on
    which LDS is reported by itself. `powers` are the exponents p of the audit that replaces scores
    by sign(s) |s|^p.
    """

    folds: Annotated[int, Meta(ge=2)]
    resamples: Annotated[int, Meta(ge=100)]
    confidence: Fraction
    also_measured: Annotated[
        tuple[Annotated[str, registered("output-functions")], ...],
        Meta(extra_json_schema={"uniqueItems": True}),
    ] = ()
    query_lists: dict[Name, QueryList] = {}
    powers: Annotated[tuple[PositiveFloat, ...], Meta(extra_json_schema={"uniqueItems": True})] = ()


class Counterfactual(Section, frozen=True):
    """Retraining without the images that methods name, and drawing the same queries again.

    `fractions` of the training set are the sizes at which removal lists are compared; those in
    `retrain` are removed, and the rest trained with every one of `seeds`. `opponents` removes each
    method's lowest scores as well. `embeddings` measure how far an image has moved, next to its
    pixels.
    """

    n_queries: Positive
    methods: Annotated[tuple[Name, ...], UNIQUE]
    fractions: Annotated[tuple[Fraction, ...], UNIQUE]
    retrain: Annotated[tuple[Fraction, ...], UNIQUE]
    opponents: bool
    seeds: Seeds
    embeddings: Annotated[tuple[Name, ...], Meta(extra_json_schema={"uniqueItems": True})] = ()


class Report(Section, frozen=True, omit_defaults=True):
    """What the page shows.

    `published` names the data set whose published numbers stand beside ours.
    """

    queries: Positive
    top: Positive
    published: Literal["artbench2", "artbench5", "celeba", "cifar10", "cifar2"] | None = None


class Jobs(Section, frozen=True):
    """How the work is cut into jobs.

    The first three are part of what an artifact is; the rest changes nothing but time, memory and
    disk. Without `keep_models` those of subsets are deleted once all that is asked for is made from
    them; to ask more of them later trains them again.
    """

    models_per_block: Positive
    models_per_stack: Positive
    images_per_shard: Positive
    batch_size: Positive
    threads: Positive
    gpus: NonNegative
    save_state_every_s: NonNegativeFloat
    keep_models: bool = True


class Config(Section, frozen=True):
    """One benchmark."""

    name: Name
    seed: NonNegative
    data: Data
    model: Model
    noise_schedule: NoiseSchedule
    training: Training
    full_model: FullModel
    sampling: Sampling
    subsets: Subsets
    losses: Losses
    features: Annotated[dict[Name, Pass], Meta(min_length=1)]
    methods: Annotated[dict[Name, MethodOptions], Meta(min_length=1)]
    lambdas: Lambdas
    lds: Lds
    report: Report
    jobs: Jobs
    embeddings: dict[Name, EmbeddingOptions] = {}
    curvatures: dict[Name, Curvature] = {}
    sweeps: dict[Name, Sweep] = {}
    counterfactual: Counterfactual | None = None

    @property
    def n_steps(self) -> int:
        """The number of training steps of the full model."""
        return self.training.n_steps(self.data.n_train)

    def step(self, share: float) -> int:
        """Return the step at which a share of the full model's training is done."""
        return round(share * self.n_steps)

    @property
    def recipe(self) -> Recipe:
        """How every model is trained."""
        return Recipe(model=self.model, noise_schedule=self.noise_schedule, training=self.training)


class OwnData(Section, frozen=True):
    """Which images a model was trained on; the keys are those of `Data`."""

    source: Annotated[str, registered("data-sources")]
    resolution: Positive
    n_train: Annotated[int, Meta(ge=2)]
    n_planted: NonNegative = 0
    classes: Annotated[tuple[NonNegative | Text, ...], Meta(min_length=1)] | None = None
    folder: str | None = None
    hub: Text | UnsetType = UNSET
    unreadable: Literal["refuse", "skip"] | UnsetType = UNSET


class Pretrained(Model, frozen=True, kw_only=True):
    """A model that is trained already.

    `pretrained` is the folder or the hub's name of its pipeline; for `sd-lora`, whose `config`
    names the pipeline, of the LoRA.
    """

    pretrained: Text
    config: dict[str, Any] = {}


class Queries(Section, frozen=True):
    """A folder of images to ask about, all of them."""

    folder: Text
    n_images: Positive


class OwnMethod(Section, frozen=True, rename={"lam": "lambda"}):
    """A named way to turn features, pixels or nothing into scores.

    `lambda` is in units of the mean |phi|^2; `rule` takes the one that docs/own-model.md gives the
    evidence for.
    """

    method: Annotated[str, registered("methods")]
    features: str | None = None
    embedding: str | None = None
    lam: PositiveFloat | Literal["rule"] | None = None
    options: dict[str, Any] = {}


class OwnJobs(Section, frozen=True):
    """How the work is cut into jobs; the keys are those of `Jobs`."""

    images_per_shard: Positive
    batch_size: Positive
    threads: Positive
    gpus: NonNegative


class OwnModel(Section, frozen=True):
    """The attribution of a model that somebody already has: nothing is trained or measured."""

    name: Name
    seed: NonNegative
    data: OwnData
    model: Pretrained
    noise_schedule: NoiseSchedule
    methods: Annotated[dict[Name, OwnMethod], Meta(min_length=1)]
    report: Report
    jobs: OwnJobs
    queries: Queries | None = None
    sampling: Sampling | None = None
    features: dict[Name, Pass] = {}
    embeddings: dict[Name, EmbeddingOptions] = {}
    curvatures: dict[Name, Curvature] = {}


def kind_of(raw: Any) -> type[Config] | type[OwnModel]:
    """Return which of the two kinds of config a file is, by the keys that only one has."""
    if not isinstance(raw, dict):
        return Config
    model = raw.get("model")
    is_pretrained = isinstance(model, dict) and "pretrained" in model
    return OwnModel if is_pretrained or "queries" in raw else Config


def json_schema(
    registries: dict[str, list[str]], kind: type[Config] | type[OwnModel] = Config
) -> dict[str, Any]:
    """Return the JSON schema of a config; `registries` maps a registry's name to its entries.

    Where a plug-in may extend a registry, `module:object` is allowed too. What is installed differs
    from machine to machine: `parse` knows of it, the schema does not.
    """
    schema = msgspec.json.schema(kind)

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [fill(member) for member in node]
        if not isinstance(node, dict):
            return node
        node = {key: fill(value) for key, value in node.items()}
        if "registry" in node:
            names = sorted(registries[node["registry"]])
            if node["registry"] in plugins.GROUPS:
                return {**node, "anyOf": [{"enum": names}, {"pattern": plugins.PATTERN}]}
            del node["registry"]
            node["enum"] = names
        return node

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **fill(schema)}


def parse(raw: Any, schema: dict[str, Any], source: str) -> Config:
    """Return the benchmark that `raw` (as read from YAML) says.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    return converted(raw, Config, schema, source)


SCHEMA_FILES: dict[type[Config] | type[OwnModel], str] = {
    Config: "config.schema.json",
    OwnModel: "own-model.schema.json",
}


def read(raw: Any, schemas: Path, source: str) -> Config | OwnModel:
    """Return what `raw` (as read from YAML) says, by the schema of its kind in a folder.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    kind = kind_of(raw)
    return converted(raw, kind, load_schema(schemas / SCHEMA_FILES[kind]), source)


def converted(raw: Any, kind: type[T], schema: dict[str, Any], source: str) -> T:
    """Return a file's content (as read from YAML) as one of the types that describe it.

    Raises:
        ConfigError: with one line per error: the key's path, what was found, what is allowed.
    """
    from jsonschema import Draft202012Validator

    lines = list(_unlike_json(raw, ()))
    if not lines:
        errors = Draft202012Validator(schema).iter_errors(raw)
        ordered = sorted(errors, key=lambda error: [str(key) for key in error.absolute_path])
        lines = [line for error in ordered for line in _sentences(error)]
    if not lines:
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            message, _, path = str(error).rstrip("`").partition(" - at `$.")
            lines = [f"{path or '(top level)'}: {message}"]
    raise ConfigError("\n".join(f"{source}: {line}" for line in dict.fromkeys(lines)))


def _unlike_json(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield what YAML can hold and JSON, hence the schema, cannot: one sentence each."""
    match value:
        case dict():
            for key, member in value.items():
                if not isinstance(key, str):
                    yield (
                        f"{_where([*path, key])}: found the key {key!r}, which YAML does not read"
                        f" as a text; put it in quotes"
                    )
                yield from _unlike_json(member, (*path, str(key)))
        case list():
            for index, member in enumerate(value):
                yield from _unlike_json(member, (*path, str(index)))
        case float() if not math.isfinite(value):
            yield f"{_where(path)}: found {value}, a finite number is expected"
        case None | bool() | int() | float() | str():
            pass
        case _:
            yield f"{_where(path)}: found {value}, which YAML reads as a {type(value).__name__}"


def _where(path: Any) -> str:
    return ".".join(str(key) for key in path) or "(top level)"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(name: Any, known: list[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _hint(found: Any) -> str:
    """Explain the number that YAML reads as a text because it has an exponent and no point."""
    try:
        number = float(found) if isinstance(found, str) else math.nan
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    written = int(number) if number.is_integer() else number
    return f" (YAML reads {found} as a text; write {written!r})"


def _sentences(error: Any) -> list[str]:
    """Return one sentence per thing that is wrong."""
    path, found, rule = list(error.absolute_path), error.instance, error.validator_value
    where = _where(path)
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            unknown = [key for key in found if key not in known]
            return [
                f"{_where([*path, key])}: unknown key{_suggestion(key, known)}"
                f" (known here: {', '.join(known)})"
                for key in unknown
            ]
        case "required":
            missing = [key for key in rule if key not in found]
            return [f"{_where([*path, key])}: this key is missing" for key in missing]
        case "enum":
            allowed = [str(value) for value in rule]
            return [
                f"{where}: found {_shown(found)}, allowed: {', '.join(allowed)}"
                f"{_suggestion(found, allowed)}"
            ]
        case "type":
            types = [rule] if isinstance(rule, str) else rule
            return [f"{where}: found {_shown(found)}, expected {' or '.join(types)}{_hint(found)}"]
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            words = {
                "minimum": "at least",
                "maximum": "at most",
                "exclusiveMinimum": "more than",
                "exclusiveMaximum": "less than",
            }
            return [f"{where}: found {found}, allowed: {words[error.validator]} {rule}"]
        case "minItems" | "minProperties":
            return [f"{where}: found {len(found)} entries, at least {rule} expected"]
        case "maxItems":
            return [f"{where}: found {len(found)} entries, at most {rule} expected"]
        case "items" if rule is False:
            return []  # maxItems says it
        case "uniqueItems":
            return [f"{where}: found {_shown(found)}, every entry may stand only once"]
        case "pattern":
            return [f"{where}: found {_shown(found)}, allowed: lower-case letters, digits and -"]
        case "anyOf" if "registry" in error.schema:
            own, registry = error.schema["anyOf"][0]["enum"], error.schema["registry"]
            names = [*own, *plugins.installed(registry)]
            if found in names:
                return []
            return [
                f"{where}: found {_shown(found)}, allowed: {', '.join(names)}, or module:object of"
                f" a plug-in{_suggestion(found, names)}"
            ]
        case "anyOf":
            branches = [e for e in error.context if e.validator != "type" or e.path]
            if branches:
                return [line for branch in branches for line in _sentences(branch)]
            types = [e.validator_value for e in error.context]
            return [f"{where}: found {_shown(found)}, expected {' or '.join(map(str, types))}"]
        case _:
            return [f"{where}: {error.message}"]


def load_schema(path: str | Path) -> dict[str, Any]:
    """Return the JSON schema of a config from its file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
