"""One class of many: accuracy, confusion, precision and recall, and maps of classes pixel by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import mean_of_known, ratio

_PURE = 0.99  # share of one material from which a pixel counts as inside a grain


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Figures of K classes and "unknown"."""

    # (K + 1, K + 1) spectra of the row's class that were given the column's; "unknown" last
    confusion: NDArray[np.intp]

    @property
    def accuracy(self) -> float:
        """Part of the spectra of known classes that got their class; those called unknown are wrong."""
        return _diagonal_part(self.confusion[:-1])

    @property
    def precision(self) -> NDArray[np.float64]:
        """(K + 1,) part of the spectra given a class that belong to it; NaN where there is none."""
        return self._per_class(1, self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(K + 1,) part of a class's spectra that were given it; NaN where there is none."""
        return self._per_class(1, self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """(K + 1,) harmonic means; NaN where a class neither occurs nor was given."""
        return self._per_class(2, self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    def as_row(self) -> dict[str, float]:
        """Return the figures over all classes.

        ``accuracy with unknown`` is that of all spectra, "unknown" being a class; ``accuracy of decided``
        that of the spectra of known classes that were given a class at all.
        """
        known = self.confusion[:-1]
        return {
            "accuracy": self.accuracy,
            "accuracy with unknown": _diagonal_part(self.confusion),
            "accuracy of decided": _diagonal_part(known[:, :-1]),
            "macro f1": mean_of_known(self.f1[:-1][known.sum(axis=1) > 0]),
            "called unknown": ratio(float(known[:, -1].sum()), float(known.sum())),
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

    def _per_class(self, factor: int, whole: NDArray[np.intp]) -> NDArray[np.float64]:
        part = factor * np.diagonal(self.confusion)
        return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def score_classes(given: ArrayLike, truth: ArrayLike, classes: int) -> ClassScores:
    """Compare classes given with true ones, (N,) each, from 0 to ``classes``, which stands for "unknown".

    Raises InvalidInput when shapes differ or there is no such class.
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


def score_segmentation(
    given: NDArray[np.integer], truth: NDArray[np.integer], abundances: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Compare a map of classes with the true one, (Y, X) each; negative pixels of either are left out.

    Raises InvalidInput when shapes differ.

    ``abundances``: (Y, X, K) share of each material in each pixel: boundaries are where none has 99 %.
    Without it they are the pixels with another class above, below, left or right.

    Returns
    -------
    Accuracy of all pixels, of those within one grain and of those on boundaries, the part that these are,
    and intersection over union, mean over the classes that occur.
    """
    from skimage.segmentation import find_boundaries

    if given.shape != truth.shape or truth.ndim != 2:
        raise InvalidInput(f"a map {given.shape} does not fit a truth {truth.shape}")
    if abundances is not None and abundances.shape[:2] != truth.shape:
        raise InvalidInput(f"abundances {abundances.shape} do not fit a truth {truth.shape}")
    border = find_boundaries(truth) if abundances is None else abundances.max(axis=2) < _PURE
    measured = (given >= 0) & (truth >= 0)
    right = given == truth
    overlaps = [
        ((given == each) & (truth == each) & measured).sum()
        / (((given == each) | (truth == each)) & measured).sum()
        for each in np.unique(truth[measured])
    ]
    return {
        "pixel accuracy": _share(right, measured),
        "inside grains": _share(right, measured & ~border),
        "on boundaries": _share(right, measured & border),
        "boundary pixels": _share(border, measured),
        "mean IoU": float(np.mean(overlaps)) if overlaps else float("nan"),
    }


def _share(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(chosen[among].mean()) if among.any() else float("nan")


def _diagonal_part(confusion: NDArray[np.intp]) -> float:
    return ratio(float(np.trace(confusion)), float(confusion.sum()))
