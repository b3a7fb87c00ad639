"""Attribution from models retrained on random subsets.

    empirical influence   tau(x, n) = mean loss of x over models without n  -  over models with n
    datamodel             tau(x, n) = -beta_n,  the ridge regression of x's loss on membership

Both describe a model's loss as a function of its training images; a score is minus the effect on
the loss.
Sources: Feldman and Zhang, "What neural networks memorize and why" (NeurIPS 2020); Ilyas et al.,
"Datamodels" (ICML 2022), with ridge in place of the lasso as in Zheng et al. (ICLR 2024).
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64

from diffattr.attribution.base import OPTION, Masks, RetrainingMethod, Scores, SubsetLosses


@dataclass(frozen=True, kw_only=True)
class EmpiricalInfluence(RetrainingMethod):
    """Means over models with and without the training image."""

    def scores_from_losses(self, masks: Masks, losses: SubsetLosses) -> Scores:
        """Return the differences; 0 for an image in all subsets or in none."""
        inside = masks.astype(np.float64)
        outside = 1 - inside
        n_inside, n_outside = inside.sum(axis=0), outside.sum(axis=0)
        # Centred, so that large losses cause no rounding error in small differences.
        centred = (losses - losses.mean(axis=0)).T
        effect = centred @ (inside / np.maximum(n_inside, 1) - outside / np.maximum(n_outside, 1))
        return np.where((n_inside == 0) | (n_outside == 0), 0.0, -effect)


@dataclass(frozen=True, kw_only=True)
class Datamodel(RetrainingMethod):
    """Ridge regression with an intercept; each query's alpha is chosen by cross-validation.

    Equal to scikit-learn's `RidgeCV(alphas, cv=folds)` for every query, with one eigendecomposition
    per fold for all queries and alphas.
    """

    alphas: tuple[float, ...] = field(
        default=(0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0), metadata=OPTION
    )
    folds: int = field(default=5, metadata=OPTION)

    def __post_init__(self):
        if not self.alphas or min(self.alphas) <= 0:
            raise ValueError(f"alphas: found {list(self.alphas)}, expected positive numbers")
        if self.folds < 2:
            raise ValueError(f"folds: found {self.folds}, allowed: at least 2")

    @property
    def least_models(self) -> int:
        """Two per fold, since R^2 of a single model is undefined."""
        return 2 * self.folds

    def scores_from_losses(self, masks: Masks, losses: SubsetLosses) -> Scores:
        """Return minus the coefficients, at each query's chosen alpha."""
        design = masks.astype(np.float64)
        chosen = self.chosen_alphas(design, losses)
        ridge = _Ridge(design, losses)
        scores = np.empty((losses.shape[1], design.shape[1]))
        for number, alpha in enumerate(self.alphas):
            queries = chosen == number
            scores[queries] = -ridge.coefficients(alpha, queries)
        return scores

    def chosen_alphas(
        self, design: Float64[np.ndarray, "subset train"], losses: SubsetLosses
    ) -> Int64[np.ndarray, " query"]:
        """Return the index of the alpha with the best mean R^2 over folds, per query."""
        from sklearn.model_selection import KFold

        r2 = np.zeros((len(self.alphas), losses.shape[1]))
        for kept, held_out in KFold(self.folds).split(design):
            ridge = _Ridge(design[kept], losses[kept])
            truth = losses[held_out]
            spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)
            for number, predicted in enumerate(ridge.predictions(design[held_out], self.alphas)):
                residual = np.square(truth - predicted).sum(axis=0)
                r2[number] += 1 - residual / np.where(spread == 0, 1, spread)
        return r2.argmax(axis=0)


class _Ridge:
    """Ridge regressions of many responses on one design, for any alpha.

    With the centred design X and its Gram matrix X X' = U S U', the coefficients are
    beta = X' U (S + alpha)^-1 U' (y - mean y).
    """

    def __init__(
        self,
        design: Float64[np.ndarray, "row column"],
        responses: Float64[np.ndarray, "row query"],
    ):
        self.row_means, self.response_means = design.mean(axis=0), responses.mean(axis=0)
        self.design = design - self.row_means
        eigenvalues, self.eigenvectors = np.linalg.eigh(self.design @ self.design.T)
        self.eigenvalues = eigenvalues.clip(min=0)
        self.rotated = self.eigenvectors.T @ (responses - self.response_means)

    def coefficients(
        self, alpha: float, queries: Bool[np.ndarray, " query"]
    ) -> Float64[np.ndarray, "chosen column"]:
        """Return the coefficients of some responses."""
        solved = self.rotated[:, queries] / (self.eigenvalues + alpha)[:, None]
        return (self.eigenvectors @ solved).T @ self.design

    def predictions(
        self, rows: Float64[np.ndarray, "new column"], alphas: tuple[float, ...]
    ) -> list[Float64[np.ndarray, "new query"]]:
        """Return the predicted responses of new rows, per alpha."""
        projected = (rows - self.row_means) @ self.design.T @ self.eigenvectors
        return [
            projected @ (self.rotated / (self.eigenvalues + alpha)[:, None]) + self.response_means
            for alpha in alphas
        ]
