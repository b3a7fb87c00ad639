"""Similarity of a query and a training image: inner product and cosine.

On pixels in [-1, 1] or embeddings they are the baseline that every gradient method has to beat. On
features they are first-order influence: the inner product is one training step's effect on the
query's loss, times a constant; the cosine ignores the gradient's length, which outliers dominate.
Averaged over checkpoints they are

    TracInCP  tau(x, n) = mean_c  eta_c phi_c(x)' phi_c,n        GAS  the same with the cosine

with eta_c = 1 (`tracin`), or the mean learning rate of the steps since the previous checkpoint
(`tracin-learning-rate`); the latter with unit gradients per timestep is Diffusion-ReTrac.
Sources: Charpiat et al., "Input similarity from the neural network perspective" (NeurIPS 2019);
Pruthi et al., "Estimating training data influence by tracing gradient descent" (NeurIPS 2020),
sec. 3.2, for TracInCP; Hammoudeh and Lowd (CCS 2022) for GAS; Xie et al. (TMLR 2024) for
Diffusion-ReTrac; for diffusion models, the baselines of Zheng et al. (ICLR 2024).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from diffattr.attribution.base import QueryRows, Scores, Similarity, TrainRows


@dataclass(frozen=True, kw_only=True)
class Dot(Similarity):
    """x' x_n."""

    def scores(self, train: TrainRows, queries: QueryRows) -> Scores:
        """Return the inner product of every query with every training row."""
        return queries.astype(np.float64) @ train.astype(np.float64).T


@dataclass(frozen=True, kw_only=True)
class Cosine(Similarity):
    """x' x_n / (|x| |x_n|)."""

    def scores(self, train: TrainRows, queries: QueryRows) -> Scores:
        """Return the cosine of the angle; 0 where a row is zero."""
        return _normalised(queries) @ _normalised(train).T


def _normalised(rows: Float[np.ndarray, "row dim"]) -> Float64[np.ndarray, "row dim"]:
    rows = rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)
