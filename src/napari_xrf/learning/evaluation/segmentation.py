"""Mineral maps pixel by pixel, with the pixels on grain boundaries apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput

_PURE = 0.99  # share of one material from which a pixel counts as inside a grain


@dataclass(frozen=True)
class SegmentationScores:
    """Figures of a map of classes.

    Attributes
    ----------
    accuracy
        Part of all measured pixels with the right class.
    inside, on_boundaries
        The same of pixels within one grain, and of those that share two or lie beside another class.
    boundary_share
        Part of the pixels that lie on boundaries.
    mean_overlap
        Intersection over union, mean over the classes that occur.
    """

    accuracy: float
    inside: float
    on_boundaries: float
    boundary_share: float
    mean_overlap: float

    def as_row(self) -> dict[str, float]:
        """Return the figures by name."""
        return {
            "pixel accuracy": self.accuracy,
            "inside grains": self.inside,
            "on boundaries": self.on_boundaries,
            "boundary pixels": self.boundary_share,
            "mean IoU": self.mean_overlap,
        }


def score_segmentation(
    given: NDArray[np.integer],
    truth: NDArray[np.integer],
    abundances: NDArray[np.floating] | None = None,
) -> SegmentationScores:
    """Compare a map of classes with the true one, (Y, X) each; negative pixels of either are left out.

    Parameters
    ----------
    abundances
        (Y, X, K) share of each material in each pixel: boundaries are where none has 99 %. Without it they
        are the pixels with another class above, below, left or right.

    Raises
    ------
    InvalidInput
        When shapes differ.
    """
    if given.shape != truth.shape or truth.ndim != 2:
        raise InvalidInput(f"a map {given.shape} does not fit a truth {truth.shape}")
    if abundances is not None and abundances.shape[:2] != truth.shape:
        raise InvalidInput(f"abundances {abundances.shape} do not fit a truth {truth.shape}")
    border = _borders(truth) if abundances is None else abundances.max(axis=2) < _PURE
    measured = (given >= 0) & (truth >= 0)
    right = given == truth
    overlaps = [
        ((given == each) & (truth == each) & measured).sum()
        / (((given == each) | (truth == each)) & measured).sum()
        for each in np.unique(truth[measured])
    ]
    return SegmentationScores(
        _share(right, measured),
        _share(right, measured & ~border),
        _share(right, measured & border),
        _share(border, measured),
        float(np.mean(overlaps)) if overlaps else float("nan"),
    )


def _borders(truth: NDArray[np.integer]) -> NDArray[np.bool_]:
    border = np.zeros(truth.shape, dtype=bool)
    across, down = truth[:, 1:] != truth[:, :-1], truth[1:] != truth[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= down
    border[:-1] |= down
    return border


def _share(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(chosen[among].mean()) if among.any() else float("nan")
