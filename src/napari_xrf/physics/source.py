"""What excites the sample: X-ray tubes, electron beams, synchrotron beams and given spectra.

Tubes and their spectra are in :mod:`napari_xrf.physics.source_tube`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import LOWEST_KEV, Floats, absorption_edges
from napari_xrf.physics.source_tube import ANODES, TubeSource, tube_spectrum

__all__ = [
    "ANODES",
    "ElectronBeam",
    "GivenSource",
    "MonochromaticSource",
    "PhotonSource",
    "Source",
    "SourceSpectrum",
    "TubeSource",
    "source_edges",
    "source_spectrum",
]


@dataclass(frozen=True)
class ElectronBeam:
    """The beam of an electron microscope."""

    energy_kev: float  # 1 to 60 keV

    def __post_init__(self) -> None:
        if not 1 <= self.energy_kev <= 60:
            raise InvalidInput(f"the electron beam must be from 1 to 60 keV, not {self.energy_kev}")

    @property
    def highest_kev(self) -> float:
        """The highest energy, keV."""
        return self.energy_kev


@dataclass(frozen=True)
class MonochromaticSource:
    """Photons of one energy, as behind a synchrotron's monochromator."""

    energy_kev: float  # 0.2 to 150 keV

    def __post_init__(self) -> None:
        if not 0.2 <= self.energy_kev <= 150:
            raise InvalidInput(f"the photon energy must be from 0.2 to 150 keV, not {self.energy_kev}")

    @property
    def highest_kev(self) -> float:
        """The photon energy, keV."""
        return self.energy_kev


@dataclass(frozen=True)
class GivenSource:
    """A spectrum from elsewhere: photons in bins around given energies, and single lines beside them."""

    energies_kev: tuple[float, ...]  # bin centres, rising, at least 2 or none; the bins meet half-way
    photons: tuple[float, ...]  # photons in each bin, not negative
    # line_energies_kev, line_photons: lines without width, if any
    line_energies_kev: tuple[float, ...] = ()
    line_photons: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("energies_kev", "photons", "line_energies_kev", "line_photons"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)
            if not all(math.isfinite(value) and value >= 0 for value in values):
                raise InvalidInput("energies and photons of a given source must be numbers from 0")
        if len(self.energies_kev) != len(self.photons) or len(self.line_energies_kev) != len(
            self.line_photons
        ):
            raise InvalidInput("a given source needs as many photons as energies")
        if len(self.energies_kev) == 1 or any(np.diff(self.energies_kev) <= 0):
            raise InvalidInput(
                "the energies of a given source must rise", "Give two bins or more, or use lines"
            )
        if sum(self.photons) + sum(self.line_photons) <= 0:
            raise InvalidInput("a given source needs photons")

    @property
    def highest_kev(self) -> float:
        """The highest energy with photons, keV."""
        pairs = (*zip(self.energies_kev, self.photons, strict=True),
                 *zip(self.line_energies_kev, self.line_photons, strict=True))  # fmt: skip
        return max(energy for energy, photons in pairs if photons > 0)


PhotonSource = TubeSource | MonochromaticSource | GivenSource
Source = PhotonSource | ElectronBeam


@dataclass(frozen=True, eq=False)
class SourceSpectrum:
    """Photons of a source."""

    continuum_energies: Floats  # (C,) keV, rising
    # (C,) photons per keV: of a tube per s, mA and sr; of another source per its own unit
    continuum_photons: Floats
    line_energies: Floats  # (L,) keV
    line_photons: Floats  # (L,) photons of each line, in the same unit


def source_spectrum(source: PhotonSource, energies_kev: ArrayLike | None = None) -> SourceSpectrum:
    """Return the photons that leave a source, behind its window and filters.

    Raises InvalidInput for an electron beam, which has no photon spectrum of its own.

    ``source``: a tube, a monochromatic or a given source. ``energies_kev``: (C,) where to evaluate the
    continuum, keV. By default a grid that stands on both sides of the source's absorption edges, fine enough
    for sums by trapezoids.
    """
    if isinstance(source, TubeSource):
        at = _tube_grid(source) if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        return SourceSpectrum(at, *tube_spectrum(source, at))
    if isinstance(source, GivenSource):
        bins = np.array(source.energies_kev)
        at = bins if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        lines, photons = np.array(source.line_energies_kev), np.array(source.line_photons)
        return SourceSpectrum(at, _binned_density(source, at), lines, photons)
    if isinstance(source, MonochromaticSource):
        at = np.zeros(0) if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        return SourceSpectrum(at, np.zeros(at.shape), np.array([source.energy_kev]), np.ones(1))
    raise InvalidInput("an electron beam has no photon spectrum", "Use physics.electron for it")


def source_edges(source: PhotonSource) -> Floats:
    """Return the energies in keV where a source's continuum jumps: anode, window and filter edges."""
    if isinstance(source, TubeSource):
        elements = {source.anode, *(e for layer in source.filters for e in layer.material.mass_fractions)}
        return absorption_edges(sorted(elements), LOWEST_KEV, source.voltage_kv)
    if isinstance(source, GivenSource) and source.energies_kev:
        return np.array([source.energies_kev[0], source.energies_kev[-1]])
    return np.zeros(0)


def _tube_grid(source: TubeSource) -> Floats:
    edges = source_edges(source)
    top = source.voltage_kv * (1 - 1e-9)
    coarse = np.arange(LOWEST_KEV, top, 0.05)
    return np.unique(np.concatenate([coarse, edges * (1 - 1e-7), edges * (1 + 1e-7), [top]]))


def _binned_density(source: GivenSource, at: Floats) -> Floats:
    if not source.energies_kev:
        return np.zeros(at.shape)
    energies, photons = np.array(source.energies_kev), np.array(source.photons)
    widths = np.gradient(energies)
    return np.asarray(np.interp(at, energies, photons / widths, left=0.0, right=0.0))
