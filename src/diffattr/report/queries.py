"""A few queries of each split, with the training images at either end of every method's scores."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from diffattr.artifacts import Result
from diffattr.attribution.scores import highest
from diffattr.benchmark import Benchmark
from diffattr.evaluation.planted import Planted
from diffattr.report.files import Inputs


class Neighbour(Result, frozen=True):
    """A training image among a query's proponents or opponents.

    Attributes:
        train: position in the training set.
        id: position in the data set.
        name: file name, or the position as text where the data set has no names.
        label: name of its class; null where there is one class alone.
        score: positive where the method expects the image to lower the query's loss.
        is_copy: whether this is the copy of a planted query.
    """

    train: int
    id: int
    name: str
    label: str | None
    score: float
    is_copy: bool


class QueryMethod(Result, frozen=True):
    """One method's answer for one query.

    Attributes:
        name: the method.
        lds: LDS of this query alone; null where nothing is measured.
        copy_rank: rank of the copy among all training images, 1 = first; null but for planted
            queries.
        proponents: highest score first.
        opponents: lowest score first.
    """

    name: str
    lds: float | None
    copy_rank: int | None
    proponents: Sequence[Neighbour]
    opponents: Sequence[Neighbour]


class Query(Result, frozen=True):
    """One query.

    Attributes:
        index: position in its split.
        id: position in the data set, or the number of the noise that it was generated from.
        name: as for training images; null for generated queries.
        label: name of its class; null where it has none or there is one class alone.
        methods: in the order of the report's `methods`.
    """

    index: int
    id: int
    name: str | None
    label: str | None
    methods: Sequence[QueryMethod]


class QueryGroup(Result, frozen=True):
    """The queries of one split that the page shows.

    Attributes:
        split: `val`, `gen` or `planted`.
        n_queries: queries of the split, shown or not.
        queries: evenly spaced over the split.
    """

    split: str
    n_queries: int
    queries: Sequence[Query]


def query_groups(
    benchmark: Benchmark,
    inputs: Inputs,
    lds: Mapping[str, Mapping[str, Sequence[float]]],
    planted: Planted | None,
) -> Iterator[QueryGroup]:
    """Yield the queries of each split that the page shows.

    `lds` holds the LDS of each query, by split and method.
    """
    options = benchmark.config.report
    train = inputs.array("indices", "train").tolist()
    train_names, train_labels = inputs.names["train"], inputs.labels("train")
    ranks = {row.name: row.ranks for row in planted.methods} if planted else {}

    def neighbours(
        positions: list[int], scores: Float[np.ndarray, " train"], copy: int | None
    ) -> list[Neighbour]:
        return [
            Neighbour(
                train=position,
                id=train[position],
                name=train_names[position],
                label=None if train_labels is None else train_labels[position],
                score=scores[position].item(),
                is_copy=position == copy,
            )
            for position in positions
        ]

    for split in benchmark.splits.queries:
        ids, names = inputs.array("indices", split).tolist(), inputs.names.get(split)
        labels = inputs.labels(split)
        copies = planted.copies if planted and split == "planted" else None
        shown = evenly_spaced(len(ids), options.queries)
        answers: dict[int, list[QueryMethod]] = {query: [] for query in shown}
        for method in benchmark.splits.methods_of(split):
            scores = inputs.arrays("scores", method, split)["scores"][shown]
            first, last = highest(scores, options.top), highest(-scores, options.top)
            for row, query in enumerate(shown):
                copy = None if copies is None else copies[query]
                answers[query].append(
                    QueryMethod(
                        name=method,
                        lds=lds[split][method][query] if split in lds else None,
                        copy_rank=None if copies is None else ranks[method][query],
                        proponents=neighbours(first[row].tolist(), scores[row], copy),
                        opponents=neighbours(last[row].tolist(), scores[row], copy),
                    )
                )
        queries = [
            Query(
                index=query,
                id=ids[query],
                name=None if names is None else names[query],
                label=None if labels is None else labels[query],
                methods=answers[query],
            )
            for query in shown
        ]
        yield QueryGroup(split=split, n_queries=len(ids), queries=queries)


def evenly_spaced(n: int, count: int) -> list[int]:
    """Return up to `count` distinct positions below n, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int)).tolist()
