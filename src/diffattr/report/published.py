"""Numbers published on the same benchmark, beside ours.

`published/<data set>.json` holds what the authors of D-TRAK recorded. Theirs and ours are not the
same measurement: `differences` lists where the benchmarks differ, and theirs is always at the
lambda that is best in hindsight, with an interval over subsets only.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from diffattr.artifacts import Result
from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import FULL
from diffattr.evaluation.bootstrap import Interval
from diffattr.evaluation.result import LdsResult

Correlation = Annotated[float, Meta(ge=-1, le=1)]
Split = Literal["val", "gen"]


class Protocol(Result, frozen=True):
    """The sizes of a published benchmark, named as the keys of our configs."""

    n_train: int
    n_val: int
    n_gen: int
    resolution: int
    n_subsets: int
    subset_fraction: float
    n_seeds: int
    n_timesteps: int
    draws: int
    k: int


class Figure(Result, frozen=True):
    """One method's published LDS on one split.

    Attributes:
        method: our name of it.
        split: `val` or `gen`.
        source: a key of `sources`.
        n_timesteps: timesteps per gradient; null for a method without gradients.
        embedding: the embedding that it compares; null for other methods.
        ensemble: models trained on subsets over which scores are averaged; null without them.
        models: models that a retraining-based method learns from; null for other methods.
        point: the point estimate; null where it was not published.
        interval: bootstrap over subsets; null where it was not published.
        mean: of bootstrap samples, whose repeated subsets tie, so that it lies a little below the
            point; null where it was not published.
        sd: of bootstrap samples; null where it was not published.
    """

    method: str
    split: Split
    source: str
    n_timesteps: int | None = None
    embedding: str | None = None
    ensemble: int | None = None
    models: int | None = None
    point: Correlation | None = None
    interval: tuple[Correlation, Correlation] | None = None
    mean: Correlation | None = None
    sd: Correlation | None = None


class Construction(Result, frozen=True):
    """The published LDS of the kernel method on the gradient of one output function.

    Attributes:
        output_function: our name of it.
        n_timesteps: timesteps per gradient.
        k: dimension of the projection.
        split: `val` or `gen`.
        source: a key of `sources`.
        lds: at the best lambda in hindsight.
    """

    output_function: str
    n_timesteps: int
    k: int
    split: Split
    source: str
    lds: Correlation


class OfPath(Result, frozen=True):
    """What was published of one method along the published path of lambda.

    Attributes:
        method: our name of it.
        n_timesteps: timesteps per gradient.
        split: `val` or `gen`.
        source: a key of `sources`.
    """

    method: str
    n_timesteps: int
    split: Split
    source: str


class Curve(OfPath, frozen=True):
    """The published LDS of one method along the published path of lambda.

    Attributes:
        lds: at each lambda.
    """

    lds: tuple[Correlation, ...]


class BestLambda(OfPath, frozen=True, rename={"lam": "lambda"}):
    """The published lambda of the highest LDS of one method.

    Attributes:
        lambda: as added to the kernel's diagonal.
    """

    lam: float


class Published(Result, frozen=True):
    """Everything that was published on one data set; `sources` explains every `source`."""

    data_set: str
    work: str
    sources: dict[str, str]
    protocol: Protocol
    lds: tuple[Figure, ...]
    constructions: tuple[Construction, ...]
    lambdas: tuple[float, ...]
    curves: tuple[Curve, ...]
    best_lambdas: tuple[BestLambda, ...]


class Ours(Result, frozen=True):
    """The result here that repeats a published one.

    Attributes:
        name: the method of the config.
        lds: mean over queries, each at its cross-fitted lambda.
        interval: bootstrap over subsets alone, as the published one.
        oracle_lds: LDS at the best lambda in hindsight, as the published one.
    """

    name: str
    lds: float
    interval: Interval
    oracle_lds: float


class FigureBeside(Figure, frozen=True, kw_only=True):
    """A published LDS, and ours.

    Attributes:
        ours: null where no method of the config repeats it.
    """

    ours: Ours | None


class ConstructionBeside(Construction, frozen=True):
    """A published LDS of another output function, and ours.

    Attributes:
        ours: null where no method of the config repeats it.
    """

    ours: Ours | None


class KeyDifference(Result, frozen=True):
    """Where this benchmark differs from the published one.

    Attributes:
        key: the key of the config.
        published: the published value.
        here: the value here; null for a projection that keeps every parameter.
    """

    key: str
    published: int | float
    here: int | float | None


class Beside(Result, frozen=True):
    """Published numbers and those of this benchmark.

    Attributes:
        data_set: the name of the published benchmark.
        work: who published it.
        sources: what each `source` stands for.
        differences: where this benchmark differs.
        rows: LDS by method and split; several rows where several methods repeat a figure.
        constructions: LDS by output function, likewise.
        lambdas: the published path of lambda, as added to the kernel's diagonal.
        curves: published LDS along it.
        best_lambdas: published lambdas of the highest LDS.
    """

    data_set: str
    work: str
    sources: Mapping[str, str]
    differences: Sequence[KeyDifference]
    rows: Sequence[FigureBeside]
    constructions: Sequence[ConstructionBeside]
    lambdas: Sequence[float]
    curves: Sequence[Curve]
    best_lambdas: Sequence[BestLambda]


def read(name: str) -> Published:
    """Return the published numbers of one data set."""
    path = files("diffattr.report").joinpath("published", f"{name}.json")
    return msgspec.json.decode(path.read_bytes(), type=Published)


def beside(benchmark: Benchmark, results: Mapping[str, Mapping[str, LdsResult]]) -> Beside | None:
    """Return published figures with ours beside them, None where the config names none.

    `results` are by split and method, sweep cells included. A figure that several methods repeat
    (on passes that differ in noise or projection) has one row for each.
    """
    name = benchmark.config.report.published
    if name is None:
        return None
    published = read(name)
    return Beside(
        data_set=published.data_set,
        work=published.work,
        sources=published.sources,
        differences=_differences(benchmark, published.protocol),
        rows=[
            FigureBeside(**msgspec.structs.asdict(figure), ours=ours)
            for figure in published.lds
            for ours in _ours(
                results[figure.split],
                [name for name in benchmark.splits.named if repeats(benchmark, name, figure)],
            )
        ],
        constructions=[
            ConstructionBeside(**msgspec.structs.asdict(construction), ours=ours)
            for construction in published.constructions
            for ours in _ours(
                results[construction.split],
                [name for name in benchmark.methods if constructs(benchmark, name, construction)],
            )
        ],
        lambdas=published.lambdas,
        curves=published.curves,
        best_lambdas=published.best_lambdas,
    )


def _ours(results: Mapping[str, LdsResult], names: Sequence[str]) -> Sequence[Ours | None]:
    found = [
        Ours(
            name=name,
            lds=results[name].lds,
            interval=results[name].interval.subsets,
            oracle_lds=results[name].oracle.lds,
        )
        for name in names
        if name in results
    ]
    return found or [None]


def repeats(benchmark: Benchmark, name: str, figure: Figure) -> bool:
    """Return whether a method of the config is that of a published figure."""
    options, method = benchmark.config.methods[name], benchmark.methods[name]
    embedding = None
    if method.embedding is not None:
        embedding = benchmark.config.embeddings[method.embedding].kind
    ensemble = options.ensemble
    members = None if ensemble is None else ensemble.count if ensemble.of == "retrain" else 0
    over_checkpoints = method.method.over == "checkpoints"
    at_the_end = over_checkpoints or ensemble is not None or set(method.models) <= {FULL}
    return (
        at_the_end
        and not options.options
        and _n_timesteps(benchmark, name) == figure.n_timesteps
        and (method.kind, embedding, members, method.n_retrained)
        == (figure.method, figure.embedding, figure.ensemble, figure.models)
    )


def constructs(benchmark: Benchmark, name: str, construction: Construction) -> bool:
    """Return whether a method is the kernel method on this construction, whatever its k."""
    options, method = benchmark.config.methods[name], benchmark.methods[name]
    return (
        method.kind in ("kernel", "trak", "d-trak")
        and method.models == (FULL,)
        and not options.options
        and method.output_function == construction.output_function
        and _n_timesteps(benchmark, name) == construction.n_timesteps
    )


def _n_timesteps(benchmark: Benchmark, name: str) -> int | None:
    """Return the number of timesteps averaged, or None for methods without features.

    0 where features are not the plain mean over uniform timesteps that the published numbers use:
    with several noise draws, other timesteps or gradients of unit length.
    """
    features = benchmark.config.features.get(benchmark.methods[name].gradient_pass or "")
    if features is None:
        return None
    plain = features.timesteps == "uniform" and features.draws == 1 and not features.unit_gradients
    return features.n_timesteps if plain else 0


def _differences(benchmark: Benchmark, protocol: Protocol) -> list[KeyDifference]:
    config, measurement = benchmark.config, benchmark.measurement
    subsets, losses = measurement.subsets.lds, measurement.losses
    here = {
        "data.n_train": (protocol.n_train, config.data.n_train),
        "data.n_val": (protocol.n_val, config.data.n_val),
        "sampling.n_images": (protocol.n_gen, benchmark.sampling.n_images),
        "data.resolution": (protocol.resolution, config.data.resolution),
        "measurement.subsets.lds.count": (protocol.n_subsets, subsets.count),
        "measurement.subsets.lds.fraction": (protocol.subset_fraction, subsets.fraction),
        "measurement.subsets.lds.seeds": (protocol.n_seeds, len(subsets.seeds)),
        "measurement.losses.n_timesteps": (protocol.n_timesteps, losses.n_timesteps),
        "measurement.losses.draws": (protocol.draws, losses.draws),
        **{
            f"features.{name}.projector.k": (protocol.k, config.features[name].projector.k)
            for name in benchmark.passes
        },
    }
    return [
        KeyDifference(key=key, published=published, here=value)
        for key, (published, value) in here.items()
        if published != value
    ]
