"""One class of many: accuracy, confusion, and precision, recall and F1 of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Figures of K classes and "unknown".

    Attributes
    ----------
    confusion
        (K + 1, K + 1) spectra of the row's class that were given the column's; "unknown" last.
    """

    confusion: NDArray[np.intp]

    @property
    def accuracy(self) -> float:
        """Part of the spectra of known classes that got their class; those called unknown are wrong."""
        known = self.confusion[:-1]
        return _part(float(np.trace(known)), float(known.sum()))

    @property
    def accuracy_with_unknown(self) -> float:
        """Part of all spectra that got their class, "unknown" being one."""
        return _part(float(np.trace(self.confusion)), float(self.confusion.sum()))

    @property
    def accuracy_of_decided(self) -> float:
        """Part of the spectra of known classes that were given a class at all and got the right one."""
        decided = self.confusion[:-1, :-1]
        return _part(float(np.trace(decided)), float(decided.sum()))

    @property
    def precision(self) -> NDArray[np.float64]:
        """(K + 1,) part of the spectra given a class that belong to it; NaN where there is none."""
        return _parts(np.diagonal(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(K + 1,) part of a class's spectra that were given it; NaN where there is none."""
        return _parts(np.diagonal(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """(K + 1,) harmonic means; NaN where a class neither occurs nor was given."""
        both = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        return _parts(2 * np.diagonal(self.confusion), both)

    def as_row(self) -> dict[str, float]:
        """Return the figures over all classes."""
        known = self.f1[:-1][self.confusion[:-1].sum(axis=1) > 0]
        unknown = self.confusion[:-1, -1].sum()
        return {
            "accuracy": self.accuracy,
            "accuracy with unknown": self.accuracy_with_unknown,
            "accuracy of decided": self.accuracy_of_decided,
            "macro f1": float(known.mean()) if known.size else float("nan"),
            "called unknown": _part(float(unknown), float(self.confusion[:-1].sum())),
        }

    def worst_pairs(self, names: Sequence[str], number: int = 10) -> tuple[tuple[str, str, int], ...]:
        """Return the most frequent confusions: true class, given class, spectra."""
        labels = (*names, "unknown")
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:number]
        rows, columns = np.unravel_index(order, wrong.shape)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return tuple((labels[r], labels[c], int(wrong[r, c])) for r, c in pairs if wrong[r, c])


def score_classes(given: ArrayLike, truth: ArrayLike, classes: int) -> ClassScores:
    """Compare classes given with true ones, (N,) each, from 0 to ``classes``, which stands for "unknown".

    Raises
    ------
    InvalidInput
        When shapes differ or there is no such class.
    """
    said, exact = np.asarray(given), np.asarray(truth)
    if said.shape != exact.shape or said.ndim != 1:
        raise InvalidInput(f"classes {said.shape} and truth {exact.shape} differ in shape")
    both = np.concatenate([said, exact])
    if both.size and (both.min() < 0 or both.max() > classes):
        raise InvalidInput(f"classes lie from 0 to {classes}, not from {both.min()} to {both.max()}")
    size = classes + 1
    flat = np.bincount(exact.astype(np.intp) * size + said.astype(np.intp), minlength=size * size)
    return ClassScores(flat.reshape(size, size))


def _part(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _parts(part: NDArray[np.intp], whole: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
