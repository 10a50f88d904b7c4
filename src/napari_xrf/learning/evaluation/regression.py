"""How close predicted amounts and reconstructed spectra come to the true ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import mean_of_known, ratio

_LEAST_COUNTS = 1e-3  # expected in a channel: a network's zero is no proof that nothing comes


@dataclass(frozen=True, eq=False)
class RegressionScores:
    """Errors of K amounts."""

    r2: NDArray[np.float64]  # (K,) coefficient of determination of each; NaN where the truth never changes
    spread: NDArray[np.float64]  # (K,) variance of the truth of each
    # rmse, mae: (K,) root-mean-square and mean absolute error of each, in the unit of the amounts
    rmse: NDArray[np.float64]
    mae: NDArray[np.float64]

    @property
    def r2_uniform(self) -> float:
        """Mean of the R² of all amounts: "uniform average" of a multivariate regression."""
        return mean_of_known(self.r2)

    @property
    def r2_weighted(self) -> float:
        """Mean of the R² weighted with the variances: 1 − all squared errors / all squared deviations."""
        return 1 - ratio(float((self.rmse**2).sum()), float(self.spread.sum()))

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

    Raises InvalidInput when shapes differ, there is nothing to compare or a value is not finite.
    """
    estimate, exact = _pair(predicted, truth)
    if not (np.isfinite(estimate).all() and np.isfinite(exact).all()):
        raise InvalidInput("an amount is not finite")
    error = estimate - exact
    squared, spread = (error**2).mean(axis=0), exact.var(axis=0)
    varies = spread > 1e-12 * np.maximum((exact**2).mean(axis=0), 1e-300)
    r2 = 1 - np.divide(squared, spread, out=np.full_like(spread, np.nan), where=varies)
    return RegressionScores(r2, np.where(varies, spread, 0.0), np.sqrt(squared), np.abs(error).mean(axis=0))


def score_reconstruction(spectrum: ArrayLike, counts: ArrayLike) -> dict[str, float]:
    """Compare reconstructed with counted spectra, (N, E) each.

    Raises InvalidInput when shapes differ or there is nothing to compare.

    Returns
    -------
    ``"r2"``: part of the variance of all channels that is explained; ``"deviance"``: Poisson deviance per
    channel with counts or expectation, about 1 where noise alone is left and counts are many.
    """
    expected, seen = _pair(spectrum, counts)
    spread = float(((seen - seen.mean(axis=0)) ** 2).sum())
    left = float(((seen - expected) ** 2).sum())
    model = np.maximum(expected, _LEAST_COUNTS)
    logarithm = np.log(np.where(seen > 0, seen, 1) / model)
    deviance = 2 * (np.where(seen > 0, seen * logarithm, 0) - seen + model)
    used = (seen > 0) | (expected > _LEAST_COUNTS)
    return {
        "r2": 1 - ratio(left, spread),
        "deviance": float(deviance[used].mean()) if used.any() else float("nan"),
    }


def _pair(predicted: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    estimate, exact = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if estimate.shape != exact.shape or exact.ndim != 2 or not exact.size:
        raise InvalidInput(f"predictions {estimate.shape} and truth {exact.shape} cannot be compared")
    return estimate, exact
