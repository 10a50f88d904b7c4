"""Minerals of a library whose expected spectra are nearest to a measured one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.minerals.likelihood.templates import FLOOR, Templates
from napari_xrf.reference.minerals import Mineral

_MODEL_ERROR = 0.05  # of a bin's counts, beside counting
_LEAST_ERROR = 0.005  # of the highest bin: lines that small are not what a mineral is known by
_CLOSE = 1e-3  # of the smaller weighted distance: of one spectrum


@dataclass(frozen=True, eq=False)
class Nearest:
    """A mineral, or several of one spectrum, beside a measured spectrum."""

    minerals: tuple[Mineral, ...]  # one, or those whose expected spectra are the same
    misfit: float  # share of the counts, 0 to 1, that stand elsewhere than this mineral's do
    expected: NDArray[np.float64]  # (B,) counts that it explains best
    variance: NDArray[np.float64]  # (B,) that the comparison allowed

    def __repr__(self) -> str:
        return f"<Nearest: {self.name}, off by {self.misfit:.1%} of the counts>"

    @property
    def name(self) -> str:
        """The name, or ``"quartz / opal"``."""
        return " / ".join(mineral.name for mineral in self.minerals)


def nearest_minerals(
    counts: NDArray[np.float64], templates: Templates, number: int = 3
) -> tuple[Nearest, ...]:
    """Return the minerals nearest to counts (B,), the nearest first.

    A mineral's composition may lie anywhere in its range, and its continuum may have any height.
    """
    error = np.sqrt(np.maximum(counts, 1) + (_MODEL_ERROR * counts) ** 2)
    error = np.maximum(error, max(FLOOR * counts.mean(), _LEAST_ERROR * counts.max()))
    found: list[tuple[float, NDArray[np.float64], Mineral]] = []
    for owner in np.unique(templates.owner).tolist():
        members = templates.owner == owner
        columns = np.vstack([templates.lines[members], templates.continuum[members].mean(axis=0)])
        amounts = fit_bounded((columns / error).T, counts / error)
        distance = float(np.linalg.norm(amounts @ (columns / error) - counts / error))
        found.append((distance, amounts @ columns, templates.minerals[owner]))
    grouped: list[tuple[float, NDArray[np.float64], list[Mineral]]] = []
    for distance, expected, mineral in sorted(found, key=lambda each: each[0]):
        if grouped and distance - grouped[-1][0] <= _CLOSE * grouped[-1][0]:
            grouped[-1][2].append(mineral)
        else:
            grouped.append((distance, expected, [mineral]))
    whole = 2 * max(float(counts.sum()), 1e-12)
    return tuple(
        Nearest(tuple(minerals), float(np.abs(counts - expected).sum()) / whole, expected, error**2)
        for _, expected, minerals in grouped[:number]
    )
