"""Random scores: the LDS of a method without any information."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt64

from diffattr import rng
from diffattr.attribution.base import OPTION, QueryRows, Reads, Scores, Similarity, TrainRows


@dataclass(frozen=True, kw_only=True)
class RandomScores(Similarity):
    """Independent uniform scores, keyed by the bytes of each query and training image.

    `draw` numbers independent repetitions.
    """

    reads: Reads = "pixels"
    draw: int = field(default=0, metadata=OPTION)

    def scores(self, train: TrainRows, queries: QueryRows) -> Scores:
        """Return numbers in [0, 1) that do not depend on the order of the images."""
        bits = rng.mixed(self._words(queries, "query")[:, None] ^ self._words(train, "train"))
        return (bits >> np.uint64(11)) * 2.0**-53

    def _words(self, rows: Float[np.ndarray, "row dim"], side: str) -> UInt64[np.ndarray, " row"]:
        names = ("random-scores", self.draw, side)
        words = [rng.hashed_range(1, *names, row.tobytes().hex())[0] for row in rows]
        return np.array(words, dtype=np.uint64)
