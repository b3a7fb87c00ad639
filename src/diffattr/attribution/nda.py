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
from math import prod

import numpy as np
from jaxtyping import Float32, Float64
from numpy.lib.stride_tricks import sliding_window_view

from diffattr import rng
from diffattr.attribution.base import OPTION, PatchMethod

FLOATS = 2**20
"""Numbers in one array, apart from padded images and scores; the patches of one image may need
more."""

Places = tuple[np.ndarray, ...]
"""Query, row and column of some query patches."""


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
        if self.timestep < 0:
            raise ValueError(f"timestep: found {self.timestep}, allowed: at least 0")
        if self.patch < 1 or self.patch % 2 == 0:
            raise ValueError(f"patch: found {self.patch}, allowed: odd numbers")
        if self.top is not None and self.top < 1:
            raise ValueError(f"top: found {self.top}, allowed: at least 1")
        if self.coarse_patch is not None and (self.coarse_patch < 2 or self.coarse_patch % 2 == 1):
            raise ValueError(f"coarse_patch: found {self.coarse_patch}, allowed: even numbers")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha: found {self.alpha}, allowed: 0 to 1")
        if self.draws < 1:
            raise ValueError(f"draws: found {self.draws}, allowed: at least 1")

    def scores_of_images(
        self,
        train: Float32[np.ndarray, "train channel height width"],
        queries: Float32[np.ndarray, "query channel height width"],
        abar: float,
    ) -> Float64[np.ndarray, "query train"]:
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
        self,
        train: Float32[np.ndarray, "train channel height width"],
        query: Float32[np.ndarray, "channel height width"],
        positions: Sequence[int],
        abar: float,
    ) -> Float64[np.ndarray, "position height width"]:
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
                for down in reach:
                    for right in reach:
                        maps[:, row + down, column + right] += added
        return maps

    def _passes(
        self, queries: Float32[np.ndarray, "query channel height width"], abar: float
    ) -> Iterator[tuple[float, "_Scale", Float64[np.ndarray, "query channel height width"]]]:
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
        self,
        train: Float32[np.ndarray, "train channel height width"],
        noisy: Float64[np.ndarray, "query channel height width"],
        abar: float,
    ) -> Iterator[tuple[Places, Float64[np.ndarray, "patch train"]]]:
        """Yield the sum of every training image's top weights, for some query patches at a time.

        Each query patch appears once; within a batch, queries are in order.
        """
        # In units of the noise's standard deviation.
        x = self._patches(noisy / np.sqrt(1 - abar))
        y = self._patches(np.sqrt(abar / (1 - abar)) * train.astype(np.float64))
        for rows in _alike(noisy.shape[2], self.side):
            for columns in _alike(noisy.shape[3], self.side):
                x_alike, y_alike = (
                    patches[:, rows.start : rows.stop, columns.start : columns.stop]
                    for patches in (x, y)
                )
                for (query, row, column), weights in self._weights_alike(x_alike, y_alike):
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
        y: Float64[np.ndarray, "train row column channel down right"],
    ) -> Iterator[tuple[Places, Float64[np.ndarray, "patch train"]]]:
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
        self,
        x: Float64[np.ndarray, "patch dim"],
        y: Float64[np.ndarray, "train row column channel down right"],
        images_at_once: int,
    ) -> Float64[np.ndarray, "patch train"]:
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


def _alike(length: int, side: int) -> list[range]:
    """Return the places along one axis, grouped by how far patches reach over its two ends."""
    before = (side - 1) // 2
    parts: dict[tuple[int, int], list[int]] = {}
    for place in range(length + 2 * before - side + 1):
        first = place - before
        over = max(0, -first), max(0, first + side - length)
        parts.setdefault(over, []).append(place)
    return [range(places[0], places[-1] + 1) for places in parts.values()]
