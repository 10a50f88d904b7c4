"""Minerals of a library whose expected spectra are nearest to a measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.templates import FLOOR, Templates
from napari_xrf.reference.minerals import Mineral

_MODEL_ERROR = 0.05  # of a bin's counts, beside counting
_CLOSE = 1e-3  # of the smaller weighted distance: of one spectrum


@dataclass(frozen=True)
class Nearest:
    """A mineral, or several of one spectrum, beside a measured spectrum.

    Attributes
    ----------
    minerals
        One, or those whose expected spectra are the same.
    misfit
        Share of the counts, 0 to 1, that stand elsewhere than this mineral's do.
    """

    minerals: tuple[Mineral, ...]
    misfit: float

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
    from scipy.optimize import nnls

    error = np.sqrt(np.maximum(counts, 1) + (_MODEL_ERROR * counts) ** 2)
    error = np.maximum(error, FLOOR * counts.sum() / counts.size)
    found: list[tuple[float, float, Mineral]] = []
    for owner in np.unique(templates.owner).tolist():
        members = templates.owner == owner
        columns = np.vstack([templates.lines[members], templates.continuum[members].mean(axis=0)])
        amounts, distance = nnls((columns / error).T, counts / error)
        apart = 0.5 * np.abs(counts - amounts @ columns).sum() / max(counts.sum(), 1e-12)
        found.append((float(distance), float(apart), templates.minerals[owner]))
    return _grouped(sorted(found, key=lambda each: each[0]))[:number]


def _grouped(found: Sequence[tuple[float, float, Mineral]]) -> tuple[Nearest, ...]:
    groups: list[tuple[float, float, list[Mineral]]] = []
    for distance, apart, mineral in found:
        if groups and distance - groups[-1][0] <= _CLOSE * groups[-1][0]:
            groups[-1][2].append(mineral)
        else:
            groups.append((distance, apart, [mineral]))
    return tuple(Nearest(tuple(minerals), apart) for _, apart, minerals in groups)
