"""Energy bins as wide as the detector sees: few numbers per pixel that hold nearly all it can tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector import Detector

BINS_PER_FWHM = 2.0  # finer bins tell nothing more about lines of known position


@dataclass(frozen=True, eq=False)
class EnergyBins:
    """Runs of whole channels of an energy axis, so that summed Poisson counts stay Poisson counts.

    Attributes
    ----------
    axis
        The energy axis.
    edges
        (B + 1,) rising channel numbers; bin ``b`` holds the channels ``edges[b]`` to ``edges[b + 1] - 1``.
    """

    axis: EnergyAxis
    edges: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(self.edges.size - 1)

    @cached_property
    def energies(self) -> NDArray[np.float64]:
        """Centres of the bins, (B,) keV."""
        return self.axis.energy((self.edges[1:] + self.edges[:-1] - 1) / 2)

    def sum(self, counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the counts per bin, (..., B), of spectra (..., E)."""
        inside = counts[..., self.edges[0] : self.edges[-1]]
        starts = self.edges[:-1] - self.edges[0]
        return np.add.reduceat(inside, starts, axis=-1, dtype=np.float64)


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
    return EnergyBins(axis, np.array(edges, dtype=np.intp))
