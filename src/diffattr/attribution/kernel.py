"""The ridge-regularised kernel that all TRAK-like methods share, for every lambda at once.

    tau(x, n) = phi(x)' (Phi' Phi + ridge I)^-1 phi_n * w_n(ridge)

with Phi (train, k) and training weights w (1 for TRAK). One symmetric eigendecomposition of the
smaller Gram matrix gives every ridge: with Phi' Phi = V S V' (primal, k x k) or Phi Phi' = U S U'
(dual, train x train),

    tau = A diag(1 / (S + ridge)) B' diag(w),   A = Q V,       B = Phi V   (primal)
                                                A = Q Phi' U,  B = U       (dual)

The two are equal since (Phi' Phi + r I)^-1 Phi' = Phi' (Phi Phi' + r I)^-1.
Source of the score: Park et al., "TRAK" (ICML 2023), eq. 13 without the output factor Q, as used by
Zheng et al. (ICLR 2024). Everything is float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from diffattr.attribution.scores import Attribution, Predictions, Scores, Subsets
from diffattr.config import ConfigError
from diffattr.data.subsets import membership

Form = Literal["primal", "dual"]
TrainWeights = Float64[np.ndarray, " train"]


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues that scores are solved with, in the coordinates of the features.

    This is a curvature in whose eigenbasis the features are; a kernel has eigenvectors as well. The
    training side's coordinates are those of phi_n in the primal form, of n in the dual.
    """

    form: Form
    eigenvalues: Float64[np.ndarray, " rank"]

    @property
    def mean_diagonal(self) -> float:
        """The mean eigenvalue, the unit in which lambda is given."""
        return float(self.eigenvalues.mean())

    def ridge(self, lam: float) -> float:
        """Return the absolute number added to the eigenvalues."""
        return lam * self.mean_diagonal

    def factors(
        self, train: Float[np.ndarray, "train k"], queries: Float[np.ndarray, "query k"]
    ) -> tuple[Float[np.ndarray, "query rank"], Float[np.ndarray, "train rank"]]:
        """Return A and B of the module's formula."""
        return queries, train


@dataclass(frozen=True)
class Kernel(Spectrum):
    """The eigendecomposition of one feature set's Gram matrix.

    `eigenvectors` are (k, k) in the primal form and (train, train) in the dual.
    """

    eigenvectors: Float64[np.ndarray, "rank rank"]
    n_train: int

    @classmethod
    def from_features(cls, train: Float[np.ndarray, "train k"], form: Form | None = None):
        """Return the kernel of training features, in the cheaper form unless one is named."""
        features = train.astype(np.float64)
        n_train, k = features.shape
        form = form or ("dual" if n_train < k else "primal")
        gram = features @ features.T if form == "dual" else features.T @ features
        eigenvalues, eigenvectors = np.linalg.eigh(gram)
        # A Gram matrix has no negative eigenvalue: what is below zero is rounding.
        return cls(form, eigenvalues.clip(min=0), eigenvectors, n_train)

    @property
    def mean_diagonal(self) -> float:
        """The mean of |phi_n|^2, the unit in which lambda is given."""
        return float(self.eigenvalues.sum() / self.n_train)

    def factors(
        self, train: Float[np.ndarray, "train k"], queries: Float[np.ndarray, "query k"]
    ) -> tuple[Float64[np.ndarray, "query rank"], Float64[np.ndarray, "train rank"]]:
        """Return A and B of the module's formula."""
        train, queries = train.astype(np.float64), queries.astype(np.float64)
        if self.form == "dual":
            return queries @ train.T @ self.eigenvectors, self.eigenvectors
        return queries @ self.eigenvectors, train @ self.eigenvectors


@dataclass(frozen=True)
class TrainSide:
    """What a kernel method may weight training images by.

    `losses` are those that the gradient pass recorded for each training image, where known.
    """

    kernel: Spectrum
    factor: Float[np.ndarray, "train rank"]
    losses: Float[np.ndarray, "train timestep"] | None = None

    @cached_property
    def _energies(self) -> Float64[np.ndarray, "train rank"]:
        """Squared coordinates of phi_n along the eigenvectors of Phi' Phi."""
        squares = np.square(self.factor)
        return squares * self.kernel.eigenvalues if self.kernel.form == "dual" else squares

    def lengths(self) -> Float64[np.ndarray, " train"]:
        """Return |phi_n|."""
        return np.sqrt(self._energies.sum(axis=1))

    def solved_lengths(self, ridge: float) -> Float64[np.ndarray, " train"]:
        """Return |(Phi' Phi + ridge I)^-1 phi_n|."""
        return np.sqrt(self._energies @ (self.kernel.eigenvalues + ridge) ** -2.0)

    def leverages(self, ridge: float) -> Float64[np.ndarray, " train"]:
        """Return h_n = phi_n' (Phi' Phi + ridge I)^-1 phi_n, between 0 and 1."""
        return self._energies @ (1 / (self.kernel.eigenvalues + ridge))


@dataclass(frozen=True)
class KernelAttribution(Attribution):
    """Scores of one kernel method for one query split, at any lambda."""

    query_factor: Float[np.ndarray, "query rank"]
    train: TrainSide
    train_weights: Callable[[TrainSide, float], TrainWeights]
    fixed_ridge: float | None = None

    def _ridge(self, lam: float | None) -> float:
        if self.fixed_ridge is not None:
            if lam is not None:
                raise ConfigError(
                    f"lambda: found {lam}, but this method has the fixed ridge {self.fixed_ridge};"
                    " give none"
                )
            return self.fixed_ridge
        if lam is None:
            raise ConfigError(
                "lambda: found none, but this method has a path; give a positive number in units"
                " of the mean |phi|^2"
            )
        return self.train.kernel.ridge(lam)

    def _at(self, lam: float | None) -> tuple[TrainWeights, Float64[np.ndarray, " rank"]]:
        """Return w and S + ridge of the module's formula at one lambda."""
        ridge = self._ridge(lam)
        return self.train_weights(self.train, ridge), self.train.kernel.eigenvalues + ridge

    def scores(self, lam: float | None) -> Scores:
        """Return tau at one lambda, in units of the mean |phi|^2; None for a fixed ridge.

        Raises:
            ConfigError: a lambda is missing, or is given to a method with a fixed ridge.
        """
        weights, spectrum = self._at(lam)
        return ((self.query_factor / spectrum) @ self.train.factor.T) * weights

    def predictions(self, subsets: Subsets, lams: Sequence[float | None]) -> Predictions:
        """Return the sum of the scores of each subset, for every lambda.

        A (subset, rank) by (rank, query) product per lambda; no (query, train) matrix is formed.
        Errors are those of `scores`.
        """
        masks = membership(subsets, len(self.train.factor))
        paths, before, sums = [], None, np.empty(0)
        for lam in lams:
            weights, spectrum = self._at(lam)
            if before is None or not np.array_equal(weights, before):
                # Most methods have the same weights at every ridge: one product serves the path.
                sums, before = (masks * weights) @ self.train.factor, weights
            paths.append((sums / spectrum) @ self.query_factor.T)
        return np.stack(paths).astype(np.float32)
