"""Presence of elements: decisions and ranking, each element for itself and all together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.decisions import Decisions, count_decisions
from napari_xrf.learning.evaluation.ranking import rank_area


@dataclass(frozen=True, eq=False)
class PresenceScores:
    """Figures of K names.

    Attributes
    ----------
    overall
        Decisions on all names together.
    f1, area
        (K,) F1 and AUROC of each name; NaN where it is never, or for the area always, there.
    occurrences
        (K,) spectra in which it is present.
    """

    overall: Decisions
    f1: NDArray[np.float64]
    area: NDArray[np.float64]
    occurrences: NDArray[np.intp]

    def as_row(self) -> dict[str, float]:
        """Return the figures over all names."""
        return {
            "f1": self.overall.f1,
            "macro f1": _mean(self.f1),
            "auroc": _mean(self.area),
            "sensitivity": self.overall.sensitivity,
            "specificity": self.overall.specificity,
            "precision": self.overall.precision,
        }


def score_presence(probability: ArrayLike, named: ArrayLike, present: ArrayLike) -> PresenceScores:
    """Compare probabilities and decisions with the truth, (N, K) each.

    Raises
    ------
    InvalidInput
        When shapes differ.
    """
    values, yes, truth = np.asarray(probability), np.asarray(named) > 0.5, np.asarray(present) > 0.5
    if values.ndim != 2 or values.shape != truth.shape:
        raise InvalidInput(f"probabilities {values.shape} and labels {truth.shape} differ in shape")
    columns = range(values.shape[1])
    f1 = [count_decisions(yes[:, k], truth[:, k]).f1 if truth[:, k].any() else np.nan for k in columns]
    area = [rank_area(values[:, k], truth[:, k]) for k in columns]
    return PresenceScores(count_decisions(yes, truth), np.array(f1), np.array(area), truth.sum(axis=0))


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
