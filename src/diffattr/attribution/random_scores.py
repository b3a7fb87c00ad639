"""Random scores: what LDS looks like when a method knows nothing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, UInt64

from diffattr import rng
from diffattr.attribution.base import Reads


@dataclass(frozen=True)
class RandomScores:
    """Independent uniform scores, keyed by the bytes of each query and training image."""

    reads: Reads = "pixels"

    def scores(
        self, train: Float[np.ndarray, "train dim"], queries: Float[np.ndarray, "query dim"]
    ) -> Float64[np.ndarray, "query train"]:
        """Return numbers in [0, 1) that follow their images, whatever the order."""
        bits = rng.mixed(_words(queries, "query")[:, None] ^ _words(train, "train"))
        return (bits >> np.uint64(11)) * 2.0**-53


def _words(rows: Float[np.ndarray, "row dim"], side: str) -> UInt64[np.ndarray, " row"]:
    words = [rng.hashed_range(1, "random-scores", side, row.tobytes().hex())[0] for row in rows]
    return np.array(words, dtype=np.uint64)
