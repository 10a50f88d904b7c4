"""How close predicted amounts come to the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class RegressionScores:
    """Errors of K amounts.

    Attributes
    ----------
    r2
        (K,) coefficient of determination of each; NaN where the truth never changes.
    spread
        (K,) variance of the truth of each.
    rmse, mae
        (K,) root-mean-square and mean absolute error of each, in the unit of the amounts.
    """

    r2: NDArray[np.float64]
    spread: NDArray[np.float64]
    rmse: NDArray[np.float64]
    mae: NDArray[np.float64]

    @property
    def r2_uniform(self) -> float:
        """Mean of the R² of all amounts: "uniform average" of a multivariate regression."""
        known = ~np.isnan(self.r2)
        return float(self.r2[known].mean()) if known.any() else float("nan")

    @property
    def r2_weighted(self) -> float:
        """Mean of the R² weighted with the variances: 1 − all squared errors / all squared deviations."""
        total = float(self.spread.sum())
        return 1 - float((self.rmse**2).sum()) / total if total > 0 else float("nan")

    def as_row(self) -> dict[str, float]:
        """Return the figures over all amounts."""
        return {
            "r2": self.r2_uniform,
            "r2 weighted": self.r2_weighted,
            "rmse": float(np.sqrt((self.rmse**2).mean())),
            "mae": float(self.mae.mean()),
        }


def score_regression(predicted: ArrayLike, truth: ArrayLike) -> RegressionScores:
    """Compare predicted with true amounts, (N, K) each.

    Raises
    ------
    InvalidInput
        When shapes differ, there is nothing to compare or a value is not finite.
    """
    estimate, exact = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if estimate.shape != exact.shape or exact.ndim != 2 or not exact.size:
        raise InvalidInput(f"amounts {estimate.shape} and truth {exact.shape} cannot be compared")
    if not (np.isfinite(estimate).all() and np.isfinite(exact).all()):
        raise InvalidInput("an amount is not finite")
    error = estimate - exact
    squared, spread = (error**2).mean(axis=0), exact.var(axis=0)
    varies = spread > 1e-12 * np.maximum((exact**2).mean(axis=0), 1e-300)
    r2 = 1 - np.divide(squared, spread, out=np.full_like(spread, np.nan), where=varies)
    return RegressionScores(r2, np.where(varies, spread, 0.0), np.sqrt(squared), np.abs(error).mean(axis=0))
