"""The linear datamodelling score (LDS).

    LDS(x) = Spearman over subsets m of ( prediction_m(x), -measurement_m(x) )

where the prediction is the sum of the scores of the subset's training images and the measurement
is the query's loss under the model trained on that subset. A good score has a positive LDS; the
minus sign stands here and nowhere else.
Source: Ilyas et al., "Datamodels" (ICML 2022); Park et al., "TRAK" (ICML 2023), Definition 2.2.
"""

import numpy as np
from jaxtyping import Float, Float64

BySubset = Float[np.ndarray, "subset query"]
Measurements = Float[np.ndarray, "seed subset query"]
"""A measured quantity of each query under the models of each subset, by training seed."""


def mean_ranks(
    values: Float[np.ndarray, "*batch subset query"],
) -> Float64[np.ndarray, "*batch subset query"]:
    """Return ranks over subsets, from 0; ties share their mean rank.

    As scipy.stats.rankdata less 1; importing scipy.stats was most of the start of every job that
    ranks (`python -X importtime -c "import scipy.stats"`).
    """
    # Subsets last: sorting walks through memory in order.
    columns = np.ascontiguousarray(np.swapaxes(values, -1, -2))
    order = np.argsort(columns, axis=-1, kind="stable")
    differs = np.diff(np.take_along_axis(columns, order, axis=-1), axis=-1) != 0
    edge = np.ones_like(differs[..., :1])
    place = np.arange(columns.shape[-1])
    first = np.where(np.concatenate([edge, differs], axis=-1), place, 0)
    last = np.where(np.concatenate([differs, edge], axis=-1), place, place[-1])
    first = np.maximum.accumulate(first, axis=-1)
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(columns.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=-1)
    return np.swapaxes(ranks, -1, -2)


def standardised_ranks(
    values: Float[np.ndarray, "*batch subset query"],
) -> Float64[np.ndarray, "*batch subset query"]:
    """Return ranks over subsets (ties share their mean rank) with mean 0 and length 1.

    A constant column becomes 0, so that its correlation with anything is 0.
    """
    ranks = mean_ranks(values)
    ranks -= ranks.mean(axis=-2, keepdims=True)
    norms = np.linalg.norm(ranks, axis=-2, keepdims=True)
    return ranks / np.where(norms == 0, 1, norms)


def lds(
    predictions: Float[np.ndarray, "*lambda subset query"], measurement: BySubset
) -> Float64[np.ndarray, "*lambda query"]:
    """Return the LDS of every query, for every lambda: ranked once, multiplied once."""
    predicted = standardised_ranks(predictions)
    measured = standardised_ranks(-measurement)
    return np.einsum("...mq,mq->...q", predicted, measured)
