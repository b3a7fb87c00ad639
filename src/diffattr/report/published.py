"""Numbers that others published on the same benchmark, beside ours.

`published/<data set>.json` holds what the authors of D-TRAK recorded. Theirs and ours are not the
same measurement: `differences` says where the benchmark is another, and always theirs is at the
lambda that is best in hindsight, with an interval over subsets only.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from diffattr.benchmark import Benchmark
from diffattr.benchmark.paths import FULL
from diffattr.config import Section

Correlation = Annotated[float, Meta(ge=-1, le=1)]
Split = Literal["val", "gen"]


class Protocol(Section, frozen=True):
    """The sizes of a published benchmark, in the words of our configs."""

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


class Figure(Section, frozen=True):
    """One method's LDS on one split; `method` is our name of it.

    `ensemble` is the number of models trained on subsets over which scores are averaged, `models`
    how many a retraining-based method learns from. `mean` and `sd` are of bootstrap samples, whose
    repeated subsets tie, so that the mean lies a little below the point.
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


class Construction(Section, frozen=True):
    """LDS of the kernel method on the gradient of one output function, projected to k."""

    output_function: str
    n_timesteps: int
    k: int
    split: Split
    source: str
    lds: Correlation


class Curve(Section, frozen=True):
    """LDS of one method along `Published.lambdas`."""

    method: str
    n_timesteps: int
    split: Split
    source: str
    lds: tuple[Correlation, ...]


class BestLambda(Section, frozen=True, rename={"lam": "lambda"}):
    """The lambda of the highest LDS, as it is added to the kernel's diagonal."""

    method: str
    n_timesteps: int
    split: Split
    source: str
    lam: float


class Published(Section, frozen=True):
    """All that was published on one data set; `sources` explains every `source`."""

    data_set: str
    work: str
    sources: dict[str, str]
    protocol: Protocol
    lds: tuple[Figure, ...]
    constructions: tuple[Construction, ...]
    lambdas: tuple[float, ...]
    curves: tuple[Curve, ...]
    best_lambdas: tuple[BestLambda, ...]


def read(name: str) -> Published:
    """Return the published numbers of one data set."""
    path = files("diffattr.report").joinpath("published", f"{name}.json")
    return msgspec.json.decode(path.read_bytes(), type=Published)


def beside(
    benchmark: Benchmark, results: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """Return published figures with ours beside them, None where the config names none.

    `results` maps split and method, cells of sweeps included, to the LDS artifact. A figure that no
    method of the config repeats has none of ours beside it; one that several repeat (on passes that
    differ in noise or projection) stands there once for each.
    """
    name = benchmark.config.report.published
    if name is None:
        return None
    published = read(name)
    return {
        "data_set": published.data_set,
        "work": published.work,
        "sources": published.sources,
        "differences": list(_differences(benchmark, published.protocol)),
        "rows": [
            {**msgspec.to_builtins(figure), "ours": ours}
            for figure in published.lds
            for ours in _ours(
                results[figure.split],
                [name for name in benchmark.splits.named if repeats(benchmark, name, figure)],
            )
        ],
        "constructions": [
            {**msgspec.to_builtins(one), "ours": ours}
            for one in published.constructions
            for ours in _ours(
                results[one.split],
                [name for name in benchmark.methods if constructs(benchmark, name, one)],
            )
        ],
        "lambdas": published.lambdas,
        "curves": msgspec.to_builtins(published.curves),
        "best_lambdas": msgspec.to_builtins(published.best_lambdas),
    }


def _ours(
    results: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> Sequence[dict[str, Any] | None]:
    found = [
        {
            "name": name,
            "lds": results[name]["lds"],
            "interval": results[name]["interval"]["subsets"],
            "oracle_lds": results[name]["oracle"]["lds"],
        }
        for name in names
        if name in results
    ]
    return found or [None]


def repeats(benchmark: Benchmark, name: str, figure: Figure) -> bool:
    """Return whether a method of the config is the one of a published figure."""
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
    """Return over how many timesteps a method's features are the plain mean, None without any.

    0 stands for another mean: of several noise draws, of other timesteps, of unit gradients.
    """
    taken = benchmark.config.features.get(benchmark.methods[name].gradient_pass or "")
    if taken is None:
        return None
    plain = taken.timesteps == "uniform" and taken.draws == 1 and not taken.unit_gradients
    return taken.n_timesteps if plain else 0


def _differences(benchmark: Benchmark, protocol: Protocol) -> Iterator[dict[str, Any]]:
    """Yield what is not as it was published, by the key of the config."""
    config, subsets = benchmark.config, benchmark.config.measurement.subsets.lds
    here = {
        "data.n_train": (protocol.n_train, config.data.n_train),
        "data.n_val": (protocol.n_val, config.data.n_val),
        "sampling.n_images": (protocol.n_gen, config.sampling.n_images),
        "data.resolution": (protocol.resolution, config.data.resolution),
        "subsets.lds.count": (protocol.n_subsets, subsets.count),
        "subsets.lds.fraction": (protocol.subset_fraction, subsets.fraction),
        "subsets.lds.seeds": (protocol.n_seeds, len(subsets.seeds)),
        "losses.n_timesteps": (protocol.n_timesteps, config.measurement.losses.n_timesteps),
        "losses.draws": (protocol.draws, config.measurement.losses.draws),
        **{
            f"features.{name}.projector.k": (protocol.k, config.features[name].projector.k)
            for name in benchmark.passes.used
        },
    }
    for key, (published, own) in here.items():
        if published != own:
            yield {"key": key, "published": published, "here": own}
