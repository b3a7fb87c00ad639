"""Dot product and cosine between the rows of two matrices, in float64."""

import numpy as np
from jaxtyping import Float, Float64


def dot(
    train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
) -> Float64[np.ndarray, "query train"]:
    """Return the inner product of every query with every training row."""
    return queries.astype(np.float64) @ train.astype(np.float64).T


def cosine(
    train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
) -> Float64[np.ndarray, "query train"]:
    """Return the cosine of the angle; 0 where a row is zero."""
    return dot(_normalised(train), _normalised(queries))


def _normalised(rows: Float[np.ndarray, "row dim"]) -> Float64[np.ndarray, "row dim"]:
    rows = rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)
