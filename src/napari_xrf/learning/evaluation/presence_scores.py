"""A yes or no for each name: decisions and ranking against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True)
class Decisions:
    """How often decisions were right and wrong; rates of nothing are NaN.

    Attributes
    ----------
    true_positives, false_positives, true_negatives, false_negatives
        Numbers of decisions.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def sensitivity(self) -> float:
        """Part of what is there that was named (recall)."""
        return ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """Part of what is not there that was not named."""
        return ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def precision(self) -> float:
        """Part of what was named that is there."""
        return ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def accuracy(self) -> float:
        """Part of all decisions that are right; "guess ratio" in "Privileged bases"."""
        return ratio(self.true_positives + self.true_negatives, self.total)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and precision."""
        wrong = self.false_positives + self.false_negatives
        return ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def total(self) -> int:
        """Number of decisions."""
        return self.true_positives + self.false_positives + self.true_negatives + self.false_negatives


def count_decisions(
    named: NDArray[np.bool_], truth: NDArray[np.bool_], judged: NDArray[np.bool_] | None = None
) -> Decisions:
    """Compare decisions with the truth, arrays of one shape, where they are judged (everywhere without it).

    Raises
    ------
    InvalidInput
        When shapes differ.
    """
    if named.shape != truth.shape or (judged is not None and judged.shape != truth.shape):
        raise InvalidInput(f"decisions {named.shape} and truth {truth.shape} differ in shape")
    counted = np.ones(truth.shape, dtype=bool) if judged is None else judged
    hits = int((named & truth & counted).sum())
    calls = int((named & counted).sum())
    there = int((truth & counted).sum())
    total = int(counted.sum())
    return Decisions(hits, calls - hits, total - calls - there + hits, there - hits)


def rank_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic (AUROC) of N scores.

    It is the chance that a positive scores higher than a negative, ties counting half (Mann & Whitney, Ann.
    Math. Stat. 18 (1947) 50); NaN when one kind is missing.

    Raises
    ------
    InvalidInput
        When shapes differ, or a score is NaN.
    """
    values, yes = np.asarray(score, dtype=np.float64), np.asarray(positive) > 0.5
    if values.ndim != 1 or values.shape != yes.shape or np.isnan(values).any():
        raise InvalidInput(f"scores {values.shape} and labels {yes.shape} cannot be ranked")
    positives, negatives = int(yes.sum()), int((~yes).sum())
    least = positives * (positives + 1) / 2
    return ratio(float(stats.rankdata(values)[yes].sum()) - least, positives * negatives)


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
            "macro f1": mean_of_known(self.f1),
            "auroc": mean_of_known(self.area),
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


def ratio(part: float, whole: float) -> float:
    """Return a part of a whole; NaN where there is nothing."""
    return part / whole if whole else float("nan")


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
