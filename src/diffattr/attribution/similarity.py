"""Similarity of a query and a training image: inner product and cosine.

Of pixels in [-1, 1] they are the sanity floor that every gradient method has to beat. Of features
they are first-order influence at the final weights: the inner product is one training step's effect
on the query's loss, times a constant; the cosine leaves out the gradient's length, which outliers
dominate.
Sources: Charpiat et al., "Input similarity from the neural network perspective" (NeurIPS 2019); for
diffusion models, the baselines of Zheng et al. (ICLR 2024).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from diffattr.attribution.base import Reads


@dataclass(frozen=True)
class Dot:
    """x' x_n."""

    reads: Reads

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return the inner product of every query with every training row."""
        return queries.astype(np.float64) @ train.astype(np.float64).T


@dataclass(frozen=True)
class Cosine:
    """x' x_n / (|x| |x_n|)."""

    reads: Reads

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return the cosine of the angle; 0 where a row is zero."""
        return _normalised(queries) @ _normalised(train).T


def _normalised(rows: Float[np.ndarray, "row dim"]) -> Float64[np.ndarray, "row dim"]:
    rows = rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)
