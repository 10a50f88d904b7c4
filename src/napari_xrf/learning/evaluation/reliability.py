"""Whether probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Probabilities in B equal bins from 0 to 1, beside how often they came true.

    Attributes
    ----------
    probability, frequency
        (B,) mean probability, and part of the statements that were true; NaN in empty bins.
    number
        (B,) statements.
    """

    probability: NDArray[np.float64]
    frequency: NDArray[np.float64]
    number: NDArray[np.intp]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of frequency and probability over the statements.

        Naeini, Cooper & Hauskrecht, AAAI 2015, 2901.
        """
        filled = self.number > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.probability[filled] - self.frequency[filled])
        return float(np.average(gaps, weights=self.number[filled]))


def reliability_curve(probability: ArrayLike, true: ArrayLike, bins: int = 15) -> ReliabilityCurve:
    """Return how often statements of each probability were true.

    Parameters
    ----------
    probability, true
        Arrays of one shape: of each statement, its probability and whether it was true. For one class of
        many: the probability of the class given, and whether it was right.

    Raises
    ------
    InvalidInput
        When shapes differ or a probability is none.
    """
    values, came = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(true).ravel() > 0.5
    if values.shape != came.shape or bins < 1:
        raise InvalidInput(f"probabilities {values.shape} and truth {came.shape} differ in shape")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidInput("probabilities lie from 0 to 1")
    place = np.minimum((values * bins).astype(np.intp), bins - 1)
    number = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=values, minlength=bins)
    hits = np.bincount(place, weights=came, minlength=bins)
    empty = np.full(bins, np.nan)
    return ReliabilityCurve(
        np.divide(sums, number, out=empty.copy(), where=number > 0),
        np.divide(hits, number, out=empty, where=number > 0),
        number,
    )
