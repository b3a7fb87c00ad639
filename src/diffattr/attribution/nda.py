"""Nonparametric data attribution (NDA): the training patches that a query's patches denoise to.

The optimal denoiser that sees one patch at a time returns a mean of the patches of all training
images, each weighted by its probability given the noisy patch:

    w_u(n, v) = softmax over (n, v) of  -|x_u - sqrt(abar) y_n,v|^2 / (2 (1 - abar))
    tau(x, n) = sum over u of the sum over v of the K largest w_u(n, v)

x_u is the patch at place u of the query noised to timestep t, y_n,v the one at place v of training
image n. No model is used. Every pixel has a patch around it; one that reaches over a border is
compared, inside the image, with those that reach as far over the same border. Without K, the scores
of a query add up to the number of its patches.

A second, coarse scale compares patches of even side by the means of their 2 x 2 pixels, times 2 to
keep the variance of the noise; these patches are centred at corners between four pixels. The score
is then alpha times the fine one plus 1 - alpha times the coarse one.

Source: Zhao, Du, Zheng, Pang and Lin, "Nonparametric data attribution for diffusion models" (ICML
2026). For 32 x 32 images they use t = 100 to 500, patches of 7 (14 for the coarse scale), K = 100,
alpha = 0.5 and one noise. In their code pixels outside an image have the value 10 (option
`mask_value`), so that patches at other borders get almost no weight, here none; and all queries
share one noise, here each has another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from math import prod

import numpy as np
from jaxtyping import Float64
from numpy.lib.stride_tricks import sliding_window_view

from diffattr import rng
from diffattr.attribution.base import (
    OPTION,
    Maps,
    PatchMethod,
    QueryImage,
    QueryImages,
    Scores,
    TrainImages,
)

FLOATS = 2**20
"""Numbers in one array, apart from padded images and scores; the patches of one image may need
more."""

Places = tuple[np.ndarray, ...]
"""Query, row and column of some query patches."""
NoisyQueries = Float64[np.ndarray, "query channel height width"]
TrainPatches = Float64[np.ndarray, "train row column channel down right"]
PatchWeights = Float64[np.ndarray, "patch train"]


@dataclass(frozen=True, kw_only=True)
class Nda(PatchMethod):
    """Patches of one scale, or of two.

    `patch` and `coarse_patch` are sides in pixels, `coarse_patch` None for one scale; patches may
    be larger than the images. `top` is K, None for all places. Scores are means over `draws` noises
    of each query; smaller images need more draws to average the noise out.
    """

    patch: int = field(default=7, metadata=OPTION)
    top: int | None = field(default=100, metadata=OPTION)
    coarse_patch: int | None = field(default=None, metadata=OPTION)
    alpha: float = field(default=0.5, metadata=OPTION)
    draws: int = field(default=1, metadata=OPTION)

    def __post_init__(self):
        coarse_patch = 2 if self.coarse_patch is None else self.coarse_patch
        allowed = (
            ("timestep", self.timestep >= 0, "at least 0"),
            ("patch", self.patch > 0 and self.patch % 2 == 1, "odd numbers"),
            ("top", self.top is None or self.top > 0, "at least 1"),
            ("coarse_patch", coarse_patch > 0 and coarse_patch % 2 == 0, "even numbers"),
            ("alpha", 0 <= self.alpha <= 1, "0 to 1"),
            ("draws", self.draws > 0, "at least 1"),
        )
        for name, is_allowed, words in allowed:
            if not is_allowed:
                raise ValueError(f"{name}: found {getattr(self, name)}, allowed: {words}")

    def scores_of_images(self, train: TrainImages, queries: QueryImages, abar: float) -> Scores:
        """Return tau; `abar` is the product of alphas up to the option `timestep`.

        A query's noise is keyed by its bytes, so that its scores do not depend on other queries.
        """
        scores = np.zeros((len(queries), len(train)))
        for share, scale, noisy in self._passes(queries, abar):
            for (query, _, _), weights in scale.weights(train, noisy, abar):
                firsts = np.flatnonzero(np.diff(query, prepend=-1))
                scores[query[firsts]] += share * np.add.reduceat(weights, firsts, axis=0)
        return scores

    def maps(
        self, train: TrainImages, query: QueryImage, positions: Sequence[int], abar: float
    ) -> Maps:
        """Return what each place of one query adds to the scores of some training images.

        A pixel gets what the fine patch around it adds, and a quarter of what each coarse patch
        adds whose centre it touches. So each map adds up to a score.
        """
        chosen = list(positions)
        maps = np.zeros((len(chosen), *query.shape[1:]))
        for share, scale, noisy in self._passes(query[None], abar):
            reach = (0, 1) if scale.coarse else (0,)
            for (_, row, column), weights in scale.weights(train, noisy, abar):
                added = share / len(reach) ** 2 * weights[:, chosen].T
                for down, right in product(reach, repeat=2):
                    maps[:, row + down, column + right] += added
        return maps

    def _passes(
        self, queries: QueryImages, abar: float
    ) -> Iterator[tuple[float, "_Scale", NoisyQueries]]:
        """Yield every scale with every noise: its share in the score, the scale, noisy queries."""
        scales = {_Scale(self.patch, self.top, coarse=False): 1.0}
        if self.coarse_patch is not None:
            coarse = _Scale(self.coarse_patch, self.top, coarse=True)
            scales = {**dict.fromkeys(scales, self.alpha), coarse: 1 - self.alpha}
        streams = [rng.Stream("nda", query.tobytes().hex()) for query in queries]
        for draw in range(self.draws):
            noisy = np.sqrt(abar) * queries.astype(np.float64)
            for image, stream in zip(noisy, streams, strict=True):
                image += np.sqrt(1 - abar) * stream.normal(0, self.timestep, draw, image.shape)
            for scale, share in scales.items():
                if share > 0:
                    yield share / self.draws, scale, noisy


@dataclass(frozen=True)
class _Scale:
    """How patches of one scale are cut out and compared."""

    side: int
    top: int | None
    coarse: bool

    def weights(
        self, train: TrainImages, noisy: NoisyQueries, abar: float
    ) -> Iterator[tuple[Places, PatchWeights]]:
        """Yield the sum of every training image's top weights, for some query patches at a time.

        Each query patch appears once; within a batch, queries are in order.
        """
        # In units of the noise's standard deviation.
        x = self._patches(noisy / np.sqrt(1 - abar))
        y = self._patches(np.sqrt(abar / (1 - abar)) * train.astype(np.float64))
        for rows, columns in product(*(_alike(length, self.side) for length in noisy.shape[2:])):
            alike = self._weights_alike(x[:, rows, columns], y[:, rows, columns])
            for (query, row, column), weights in alike:
                yield (query, row + rows.start, column + columns.start), weights

    def _patches(
        self, images: Float64[np.ndarray, "image channel height width"]
    ) -> Float64[np.ndarray, "image row column channel down right"]:
        """Return a view of the patches at all places, with zeros outside the images."""
        before = (self.side - 1) // 2
        padded = np.pad(images, ((0, 0), (0, 0), (before, before), (before, before)))
        side, step = self.side, 1
        if self.coarse:
            padded = padded[:, :, 1:] + padded[:, :, :-1]
            padded = (padded[..., 1:] + padded[..., :-1]) / 2
            side, step = self.side - 1, 2
        windows = sliding_window_view(padded, (side, side), axis=(2, 3))
        return windows[..., ::step, ::step].transpose(0, 2, 3, 1, 4, 5)

    def _weights_alike(
        self,
        x: Float64[np.ndarray, "query row column channel down right"],
        y: TrainPatches,
    ) -> Iterator[tuple[Places, PatchWeights]]:
        """Yield the same for patches that reach over the same borders.

        Distances are computed from the product of two matrices of patches.
        """
        shape = x.shape[:3]
        n_patches, n_places, dim = prod(shape), prod(shape[1:]), prod(x.shape[3:])
        patches_at_once = max(1, FLOATS // max(len(y), n_places, dim))
        images_at_once = max(1, FLOATS // (n_places * max(patches_at_once, dim)))
        for start in range(0, n_patches, patches_at_once):
            numbers = np.arange(start, min(start + patches_at_once, n_patches))
            places = np.unravel_index(numbers, shape)
            patches = x[places].reshape(-1, dim)
            yield places, self._image_weights(patches, y, images_at_once)

    def _image_weights(
        self, x: Float64[np.ndarray, "patch dim"], y: TrainPatches, images_at_once: int
    ) -> PatchWeights:
        """Return the sum of every training image's top weights, for every query patch.

        exp is relative to each training image's nearest patch, and at last to the nearest of all.
        """
        n_places = prod(y.shape[1:3])
        n_left_out = max(0, n_places - (self.top or n_places))
        nearest, tops, sums = (np.empty((len(x), len(y))) for _ in range(3))
        for start in range(0, len(y), images_at_once):
            images = slice(start, start + images_at_once)
            compared = y[images].reshape(-1, x.shape[1])
            # -|x - y|^2 / 2 without |x|^2, which cancels in the softmax.
            logits = x @ compared.T
            logits -= np.einsum("ij,ij->i", compared, compared) / 2
            logits = logits.reshape(len(x), -1, n_places)
            nearest[:, images] = logits.max(axis=2)
            logits -= nearest[:, images, None]
            if n_left_out > 0:
                # Before exp, since partition is slow where many numbers are equal, such as 0.
                logits.partition(n_left_out, axis=2)
            np.exp(logits, out=logits)
            sums[:, images] = logits.sum(axis=2)
            tops[:, images] = logits[:, :, n_left_out:].sum(axis=2)
        relative = np.exp(nearest - nearest.max(axis=1, keepdims=True))
        return relative * tops / (relative * sums).sum(axis=1, keepdims=True)


def _alike(length: int, side: int) -> list[slice]:
    """Return the places along one axis, grouped by how far patches reach over its two ends."""
    before = (side - 1) // 2

    def reach(place: int) -> tuple[int, int]:
        return max(0, before - place), max(0, place - before + side - length)

    groups = groupby(range(length + 2 * before - side + 1), reach)
    alike = [list(places) for _, places in groups]
    return [slice(places[0], places[-1] + 1) for places in alike]
