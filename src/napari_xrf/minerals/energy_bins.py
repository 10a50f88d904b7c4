"""Energy bins as wide as the detector sees: few numbers per pixel that hold nearly all it can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector.detector import Detector

BINS_PER_FWHM = 2.0  # finer bins tell nothing more about lines of known position


@dataclass(frozen=True, eq=False)
class EnergyBins:
    """Runs of whole channels of an energy axis, so that summed Poisson counts stay Poisson counts.

    Attributes
    ----------
    axis
        The energy axis.
    starts, stops
        (B,) rising channel numbers; bin ``b`` holds the channels ``starts[b]`` to ``stops[b] - 1``.
    """

    axis: EnergyAxis
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(self.starts.size)

    @cached_property
    def energies(self) -> NDArray[np.float64]:
        """Centres of the bins, (B,) keV."""
        return self.axis.energy((self.starts + self.stops - 1) / 2)

    @cached_property
    def widths(self) -> NDArray[np.float64]:
        """Widths of the bins, (B,) keV."""
        return np.asarray((self.stops - self.starts) * self.axis.width)

    def sum(self, counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the counts per bin, (..., B), of spectra (..., E)."""
        below = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
        np.cumsum(counts, axis=-1, out=below[..., 1:])
        return np.asarray(below[..., self.stops] - below[..., self.starts])

    def without(self, windows: Iterable[tuple[float, float]]) -> EnergyBins:
        """Return the bins that do not touch any window of (low, high) keV."""
        low, high = self.axis.energy(self.starts - 0.5), self.axis.energy(self.stops - 0.5)
        kept = np.ones(self.size, dtype=bool)
        for bottom, top in windows:
            kept &= (high <= bottom) | (low >= top)
        return EnergyBins(self.axis, self.starts[kept], self.stops[kept])


def bins_at_resolution(axis: EnergyAxis, detector: Detector, low: float, high: float) -> EnergyBins:
    """Return bins of about half the detector's FWHM between two energies in keV.

    Raises
    ------
    InvalidInput
        When fewer than 8 channels of the axis lie between them.
    """
    window = axis.window(low, high)
    if window.stop - window.start < 8:
        raise InvalidInput(
            f"only {window.stop - window.start} channels lie between {low:.2f} and {high:.2f} keV",
            "Check the energy axis and the excitation of the map",
        )
    edges = [window.start]
    while edges[-1] < window.stop:
        fwhm = float(detector.fwhm(axis.energy(edges[-1])))
        edges.append(edges[-1] + max(1, round(fwhm / BINS_PER_FWHM / axis.width)))
    edges[-1] = window.stop
    return EnergyBins(axis, np.array(edges[:-1], dtype=np.intp), np.array(edges[1:], dtype=np.intp))
