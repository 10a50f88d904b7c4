"""What of an instrument's source reaches the sample, and what of the sample's photons reaches the detector.

Everything here depends on the instrument alone and is kept between samples.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from napari_xrf.physics.attenuation import (
    AIR,
    ATMOSPHERES,
    LOWEST_KEV,
    Floats,
    Layer,
    absorption_edges,
    transmission,
)
from napari_xrf.physics.detector.detector import response_matrix
from napari_xrf.physics.detector.response import DetectorResponse
from napari_xrf.physics.fluorescence import Beam
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.scatter import ScatterSource, energy_before_compton
from napari_xrf.physics.source import ElectronBeam, GivenSource, SourceSpectrum, source_edges, source_spectrum

FINEST_STEP_KEV = 0.01
_WEAK_LINE = 1e-4  # source lines below this part of the strongest are left out
_UNSEEN = 1e-7  # part of the photons that may lie below the lowest energy considered
_INTERVALS = 40  # of the continuum, besides those that edges cut; three nodes each


class Illumination:
    """An instrument's source on the sample, in the unit of dose of :mod:`napari_xrf.physics.forward`."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.highest = float(instrument.source.highest_kev)

    @cached_property
    def grid(self) -> Floats:
        """Energies, keV, evenly spaced, at which smooth spectra are computed."""
        step = max(self.instrument.energy.width, FINEST_STEP_KEV)
        return np.arange(LOWEST_KEV, max(self.highest, LOWEST_KEV + 2 * step) + step / 2, step)

    @cached_property
    def grid_response(self) -> DetectorResponse:
        """The detector's response to photons at the energies of the grid."""
        return response_matrix(self.instrument.detector, self.instrument.energy, self.grid)

    @cached_property
    def line_response(self) -> DetectorResponse:
        """The detector's response to the source's lines."""
        return response_matrix(self.instrument.detector, self.instrument.energy, self.lines[0])

    def inward(self, energies_kev: ArrayLike) -> Floats:
        """Return what optic and atmosphere let through to the sample."""
        energies = np.asarray(energies_kev, dtype=np.float64)
        passing = self._through_gas(energies, self.instrument.path_cm[0])
        optic = self.instrument.optic
        return passing if optic is None else passing * optic.at(energies)

    def outward(self, energies_kev: ArrayLike) -> Floats:
        """Return what the atmosphere lets through to the detector."""
        return self._through_gas(np.asarray(energies_kev, dtype=np.float64), self.instrument.path_cm[1])

    def continuum(self, energies_kev: Floats) -> Floats:
        """Return the continuum on the sample, photons per keV."""
        return self._spectrum(energies_kev).continuum_photons * self.inward(energies_kev)

    @cached_property
    def lines(self) -> tuple[Floats, Floats]:
        """The source's lines on the sample: energies, keV, and photons."""
        if isinstance(self.instrument.source, ElectronBeam):
            return np.zeros(0), np.zeros(0)
        spectrum = self._spectrum(np.zeros(0))
        photons = spectrum.line_photons * self.inward(spectrum.line_energies)
        strong = photons > _WEAK_LINE * photons.max(initial=0.0)
        return spectrum.line_energies[strong], photons[strong]

    def beam(self, elements: Sequence[str]) -> Beam:
        """Return the photons on a sample: Gauss-Legendre nodes between its elements' edges, and lines."""
        energies, photons = self._nodes(elements)
        return Beam(np.concatenate([energies, self.lines[0]]), np.concatenate([photons, self.lines[1]]))

    @cached_property
    def scatter_source(self) -> ScatterSource:
        """What the sample scatters."""
        angle, spread = self.instrument.scatter_deg, self.instrument.angular_spread_deg
        energies, photons = self.lines
        if isinstance(self.instrument.source, ElectronBeam):
            nothing = np.zeros(self.grid.shape)
            return ScatterSource(angle, self.grid, nothing, self.grid, nothing, energies, photons, spread)
        before = energy_before_compton(self.grid, angle)
        possible = np.minimum(before, 2 * self.highest)
        compton = self.continuum(possible) * (possible / self.grid) ** 2
        return ScatterSource(
            angle, self.grid, self.continuum(self.grid), possible, compton, energies, photons, spread
        )

    def _nodes(self, elements: Sequence[str]) -> tuple[Floats, Floats]:
        source = self.instrument.source
        if isinstance(source, GivenSource):
            energies = np.array(source.energies_kev)
            return energies, np.array(source.photons) * self.inward(energies)
        if not self._base.size:
            return np.zeros(0), np.zeros(0)
        edges = absorption_edges(elements, self._base[0], self._base[-1])
        borders = np.unique(np.concatenate([self._base, edges]))
        # Gauss-Legendre
        nodes, weights = np.array([-1.0, 0.0, 1.0]) * 0.6**0.5, np.array([5.0, 8.0, 5.0]) / 9
        half = np.diff(borders)[:, None] / 2
        energies = (borders[:-1, None] + half * (nodes + 1)).ravel()
        return energies, self.continuum(energies) * (half * weights).ravel()

    @cached_property
    def _base(self) -> Floats:
        """Borders of intervals of the continuum, cut at the source's own edges."""
        source = self.instrument.source
        if isinstance(source, ElectronBeam | GivenSource):
            return np.zeros(0)
        everywhere = source_spectrum(source).continuum_energies
        if not everywhere.size:
            return np.zeros(0)
        cumulative = np.cumsum(self.continuum(everywhere)[:-1] * np.diff(everywhere))
        lowest = everywhere[np.searchsorted(cumulative, _UNSEEN * cumulative[-1])]
        edges = source_edges(source)
        intervals = np.geomspace(lowest, self.highest, _INTERVALS + 1)
        return np.unique(np.concatenate([intervals, edges[(edges > lowest) & (edges < self.highest)]]))

    def _spectrum(self, energies: Floats) -> SourceSpectrum:
        source = self.instrument.source
        if isinstance(source, ElectronBeam):
            return SourceSpectrum(energies, np.zeros(energies.shape), np.zeros(0), np.zeros(0))
        return source_spectrum(source, energies)

    def _through_gas(self, energies: Floats, path_cm: float) -> Floats:
        gas, leak = ATMOSPHERES[self.instrument.atmosphere], self.instrument.air_part
        passing = np.ones(energies.shape)
        if gas is not None and path_cm > 0:
            passing = transmission([Layer(gas, path_cm * 1e4)], energies)
        if leak > 0 and path_cm > 0 and self.instrument.atmosphere != "air":
            passing = passing * transmission([Layer(AIR, leak * path_cm * 1e4)], energies)
        return passing
