"""Attributions: scores of one method for one query split, and their sums over subsets."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from diffattr.config import ConfigError
from diffattr.data.subsets import membership

TrainRows = Float[np.ndarray, "train dim"]
"""Features, embeddings or flattened pixels of the training images, one row each."""
QueryRows = Float[np.ndarray, "query dim"]
Subsets = list[Int64[np.ndarray, " _"]]
"""Positions in the training set, an array per subset."""
Scores = Float64[np.ndarray, "query train"]
Predictions = Float32[np.ndarray, "lambda subset query"]


class Attribution(ABC):
    """Scores of one method for one query split: positive = the image lowers the query's loss."""

    @abstractmethod
    def scores(self, lam: float | None) -> Scores:
        """Return tau; `lam` is None for a method without lambda.

        Raises:
            ConfigError: there are no scores at this lambda.
        """

    def predictions(self, subsets: Subsets, lams: Sequence[float | None]) -> Predictions:
        """Return, per lambda, the sum of the scores of each subset's training images.

        Raises:
            ConfigError: there are no scores at one of the lambdas.
        """
        sums = []
        for tau in map(self.scores, lams):
            masks = membership(subsets, tau.shape[1]).astype(np.float64)
            sums.append(masks @ tau.T)
        return np.stack(sums).astype(np.float32)


@dataclass(frozen=True)
class DenseAttribution(Attribution):
    """A stored matrix of scores, without lambda."""

    tau: Scores

    def scores(self, lam: float | None) -> Scores:
        """Return tau; raise ConfigError if a lambda is given."""
        if lam is not None:
            raise ConfigError(f"lambda: found {lam}, but the scores of this method have none")
        return self.tau


@dataclass(frozen=True)
class MeanAttribution(Attribution):
    """The weighted mean of one method's scores over several models (checkpoints, an ensemble).

    Lambda is relative to each model's kernel, so one lambda suits models whose gradients differ in
    length.
    """

    parts: Sequence[Attribution]
    weights: Sequence[float]

    def scores(self, lam: float | None) -> Scores:
        """Return the mean of tau; errors are those of the parts."""
        return self._mean([part.scores(lam) for part in self.parts])

    def predictions(self, subsets: Subsets, lams: Sequence[float | None]) -> Predictions:
        """Return the mean of the parts' predictions; errors are those of the parts."""
        sums = [part.predictions(subsets, lams).astype(np.float64) for part in self.parts]
        return self._mean(sums).astype(np.float32)

    def _mean(self, members: Sequence[np.ndarray]) -> np.ndarray:
        total = sum(w * member for w, member in zip(self.weights, members, strict=True))
        return np.asarray(total / sum(self.weights))


def highest(scores: Float[np.ndarray, "query train"], count: int) -> Int64[np.ndarray, "query _"]:
    """Return (query, count) positions, highest score first, the earlier position first in a tie.

    The first `count` of a stable argsort, without sorting the rest.
    """
    count = min(count, scores.shape[1])
    least = np.partition(scores, -count, axis=1)[:, -count]
    rows = []
    for row, bound in zip(scores, least, strict=True):
        candidates = np.flatnonzero(row >= bound)
        rows.append(candidates[np.argsort(-row[candidates], kind="stable")][:count])
    return np.array(rows, np.int64).reshape(len(scores), count)
