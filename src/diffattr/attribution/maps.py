"""Maps of a patch method: what each place of a query adds to its top scores."""

import numpy as np
from jaxtyping import Float, Float32, Int64
from tqdm import tqdm

from diffattr.attribution.base import PatchMethod
from diffattr.attribution.method import answer


def top_maps(
    method: PatchMethod,
    train: Float32[np.ndarray, "train channel height width"],
    queries: Float32[np.ndarray, "query channel height width"],
    scores: Float[np.ndarray, "query train"],
    top: int,
    abar: float,
) -> tuple[Int64[np.ndarray, "query shown"], Float32[np.ndarray, "query shown height width"]]:
    """Return each query's highest and lowest scored training images, and their maps.

    `top` of each, the highest first; ties are in order of position, as in the report.

    Raises:
        PluginError: the method is a plug-in, and raised or broke its contract.
    """
    top = min(top, len(train))
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    lowest = np.argsort(scores, axis=1, kind="stable")[:, :top]
    positions = np.concatenate([highest, lowest], axis=1)
    shape = positions.shape[1], *queries.shape[2:]
    maps = [
        answer(method, method.maps, train, query, chosen.tolist(), abar, shape=shape)
        for query, chosen in zip(tqdm(queries, desc="maps", mininterval=10), positions, strict=True)
    ]
    return positions, np.stack(maps).astype(np.float32)
