"""Yes-and-no decisions against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """Part of what is not there that was not named."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def precision(self) -> float:
        """Part of what was named that is there."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def accuracy(self) -> float:
        """Part of all decisions that are right; "guess ratio" in "Privileged bases"."""
        return _ratio(self.true_positives + self.true_negatives, self.total)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and precision."""
        wrong = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def total(self) -> int:
        """Number of decisions."""
        return self.true_positives + self.false_positives + self.true_negatives + self.false_negatives


def count_decisions(
    named: NDArray[np.bool_], truth: NDArray[np.bool_], judged: NDArray[np.bool_] | None = None
) -> Decisions:
    """Compare decisions with the truth, arrays of one shape.

    Parameters
    ----------
    judged
        Which of them count; all without it.

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


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
