"""What excites the sample: X-ray tubes, electron beams, synchrotron beams and given spectra.

Tube spectra follow Ebel: the continuum of X-Ray Spectrom. 28 (1999) 255 and the K, L and M lines of X-Ray
Spectrom. 28 (1999) 255, 32 (2003) 46 and Adv. X-ray Anal. 49 (2006) 267, with xraylib's yields and rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import xraylib
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from napari_xrf.core.emission_lines import atomic_number, edge_energy, emission_lines
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.materials import Material
from napari_xrf.physics.attenuation import (
    LOWEST_KEV,
    Floats,
    Layer,
    absorption_edges,
    mass_photo_absorption,
    transmission,
)
from napari_xrf.physics.vacancies import fluorescence_yield

ANODES = ("Cr", "Cu", "Mo", "Rh", "Ag", "W")
BERYLLIUM = Material("beryllium", {"Be": 1.0}, 1.848)

_CONTINUUM = 1.35e9  # photons/(s·sr·mA·keV), Ebel 1999
# Ebel 2003 and 2006: photons/(s·sr·mA) of each subshell's lines; the K value depends on the overvoltage.
_CONSTANTS = {"L1": 0.71e13, "L2": 2.70e13, "L3": 4.94e13, "M3": 2.32e13, "M4": 15.8e13, "M5": 20.5e13}
# Electrons of a shell and Bethe's b in the stopping-power factor, Ebel 1999 (K), 2003 (L) and 2006 (M).
_SHELL_FACTORS = {"K": 2 * 0.35, "L": 8 * 0.25, "M": 1.2 * 0.7}
_BREAKS_PER_OCTAVE = 8


@dataclass(frozen=True)
class TubeSource:
    """An X-ray tube with a solid anode.

    Attributes
    ----------
    anode
        Symbol of a pure element: :data:`ANODES` are those that the tests cover.
    voltage_kv
        5 to 60 kV.
    incidence_deg, takeoff_deg
        Angles of the electrons and of the X-rays against the anode's surface, above 0 up to 90.
    window_be_um
        Thickness of the beryllium window, µm.
    filters
        Further sheets in the beam.
    """

    anode: str
    voltage_kv: float
    incidence_deg: float = 90.0
    takeoff_deg: float = 45.0
    window_be_um: float = 100.0
    filters: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        atomic_number(self.anode)
        if not 5 <= self.voltage_kv <= 60:
            raise InvalidInput(f"the tube voltage must be from 5 to 60 kV, not {self.voltage_kv}")
        for name, angle in (("incidence", self.incidence_deg), ("take-off", self.takeoff_deg)):
            if not 0 < angle <= 90:
                raise InvalidInput(f"the {name} angle on the anode must be above 0 up to 90°, not {angle}")
        if not (math.isfinite(self.window_be_um) and self.window_be_um >= 0):
            raise InvalidInput(f"the tube window must be from 0 µm, not {self.window_be_um}")

    @property
    def highest_kev(self) -> float:
        """The highest photon energy, keV."""
        return self.voltage_kv


@dataclass(frozen=True)
class ElectronBeam:
    """The beam of an electron microscope.

    Attributes
    ----------
    energy_kev
        1 to 60 keV.
    """

    energy_kev: float

    def __post_init__(self) -> None:
        if not 1 <= self.energy_kev <= 60:
            raise InvalidInput(f"the electron beam must be from 1 to 60 keV, not {self.energy_kev}")

    @property
    def highest_kev(self) -> float:
        """The highest energy, keV."""
        return self.energy_kev


@dataclass(frozen=True)
class MonochromaticSource:
    """Photons of one energy, as behind a synchrotron's monochromator.

    Attributes
    ----------
    energy_kev
        0.2 to 150 keV.
    """

    energy_kev: float

    def __post_init__(self) -> None:
        if not 0.2 <= self.energy_kev <= 150:
            raise InvalidInput(f"the photon energy must be from 0.2 to 150 keV, not {self.energy_kev}")

    @property
    def highest_kev(self) -> float:
        """The photon energy, keV."""
        return self.energy_kev


@dataclass(frozen=True)
class GivenSource:
    """A spectrum from elsewhere: photons in bins around given energies, and single lines beside them.

    Attributes
    ----------
    energies_kev
        Bin centres, rising, at least 2 or none; the bins meet half-way.
    photons
        Photons in each bin, not negative.
    line_energies_kev, line_photons
        Lines without width, if any.
    """

    energies_kev: tuple[float, ...]
    photons: tuple[float, ...]
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
    """Photons of a source.

    Attributes
    ----------
    continuum_energies
        (C,) keV, rising.
    continuum_photons
        (C,) photons per keV: of a tube per s, mA and sr; of another source per its own unit.
    line_energies
        (L,) keV.
    line_photons
        (L,) photons of each line, in the same unit.
    """

    continuum_energies: Floats
    continuum_photons: Floats
    line_energies: Floats
    line_photons: Floats

    def total(self) -> float:
        """Return all photons, continuum and lines."""
        return float(trapezoid(self.continuum_photons, self.continuum_energies) + self.line_photons.sum())


def source_spectrum(source: PhotonSource, energies_kev: ArrayLike | None = None) -> SourceSpectrum:
    """Return the photons that leave a source, behind its window and filters.

    Parameters
    ----------
    source
        A tube, a monochromatic or a given source.
    energies_kev
        (C,) where to evaluate the continuum, keV. By default a grid that stands on both sides of the
        source's absorption edges, fine enough for sums by trapezoids.

    Raises
    ------
    InvalidInput
        For an electron beam, which has no photon spectrum of its own.
    """
    if isinstance(source, TubeSource):
        at = _tube_grid(source) if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        return _tube_spectrum(source, at)
    if isinstance(source, GivenSource):
        bins = np.array(source.energies_kev)
        at = bins if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        lines, photons = np.array(source.line_energies_kev), np.array(source.line_photons)
        return SourceSpectrum(at, _binned_density(source, at), lines, photons)
    if isinstance(source, MonochromaticSource):
        at = np.zeros(0) if energies_kev is None else np.asarray(energies_kev, dtype=np.float64)
        return SourceSpectrum(at, np.zeros(at.shape), np.array([source.energy_kev]), np.ones(1))
    raise InvalidInput("an electron beam has no photon spectrum", "Use physics.electron for it")


def thick_target_continuum(
    material: Material, energy_kev: float, angles_deg: tuple[float, float], energies_kev: ArrayLike
) -> Floats:
    """Return the continuum that electrons make in a thick target, photons/(s·mA·sr·keV).

    Ebel's law, its atomic number averaged by weight for compounds.

    Parameters
    ----------
    material
        The target.
    energy_kev
        Of the electrons.
    angles_deg
        Of electrons and X-rays against the surface.
    energies_kev
        (E,) photon energies; 0 is returned from the electrons' energy on.
    """
    energies = np.asarray(energies_kev, dtype=np.float64)
    photons = np.zeros(energies.shape)
    below = energies < energy_kev
    overvoltage = energy_kev / energies[below]
    number = _mean(material, "Z")
    exponent = 1.109 - 0.00435 * number + 0.00175 * energy_kev
    escaping = _self_absorption(material, energy_kev, angles_deg, energies[below], overvoltage)
    photons[below] = _CONTINUUM * number * (overvoltage - 1) ** exponent * escaping
    return photons


def source_edges(source: PhotonSource) -> Floats:
    """Return the energies in keV where a source's continuum jumps: anode, window and filter edges."""
    if isinstance(source, TubeSource):
        elements = {source.anode, *(e for layer in source.filters for e in layer.material.mass_fractions)}
        return absorption_edges(sorted(elements), LOWEST_KEV, source.voltage_kv)
    if isinstance(source, GivenSource) and source.energies_kev:
        return np.array([source.energies_kev[0], source.energies_kev[-1]])
    return np.zeros(0)


def _tube_spectrum(source: TubeSource, energies: Floats) -> SourceSpectrum:
    sheets = list(source.filters)
    if source.window_be_um > 0:
        sheets.append(Layer(BERYLLIUM, source.window_be_um))
    continuum = np.zeros(energies.shape)
    inside = (energies >= LOWEST_KEV) & (energies < source.voltage_kv)
    at = energies[inside]
    angles = source.incidence_deg, source.takeoff_deg
    leaving = thick_target_continuum(_anode(source), source.voltage_kv, angles, at)
    continuum[inside] = leaving * transmission(sheets, at)
    line_energies, line_photons = _tube_lines(source)
    return SourceSpectrum(
        energies, continuum, line_energies, line_photons * transmission(sheets, line_energies)
    )


@cache
def _tube_lines(source: TubeSource) -> tuple[Floats, Floats]:
    energies, photons = [], []
    anode, angles = _anode(source), (source.incidence_deg, source.takeoff_deg)
    for line in emission_lines(source.anode):
        edge = edge_energy(source.anode, line.subshell)
        if 0 < edge < source.voltage_kv and line.energy >= LOWEST_KEV:
            ionised = _ionisation(source, line.subshell, edge)
            at = np.array([line.energy])
            over = np.array([source.voltage_kv / edge])
            escaping = _self_absorption(anode, source.voltage_kv, angles, at, over)[0]
            energies.append(line.energy)
            photons.append(ionised * fluorescence_yield(source.anode, line.subshell) * line.rate * escaping)
    return np.array(energies), np.array(photons)


def _ionisation(source: TubeSource, subshell: str, edge: float) -> float:
    """Ebel's constant × stopping-power factor × backscattering factor of a subshell."""
    number, voltage = atomic_number(source.anode), source.voltage_kv
    over = voltage / edge
    depth = over * math.log(over) + 1 - over
    relative = (math.sqrt(over) * math.log(over) + 2 * (1 - math.sqrt(over))) / depth
    stopping = _SHELL_FACTORS[subshell[0]] / number * depth
    stopping *= 1 + 16.05 * math.sqrt(0.0135 * number / edge) * relative
    backscattering = 1 - 0.0081517 * number + 3.613e-5 * number**2
    backscattering += 0.009583 * number * math.exp(-over) + 0.001141 * voltage
    return _line_constant(subshell, number, over) * stopping * backscattering


def _line_constant(subshell: str, number: int, over: float) -> float:
    if subshell == "K":
        return 1e13 * (4.697 + 0.134 * over - 0.00268 * over**2) / (1 - math.exp(-7 * (over - 1)))
    constant = _CONSTANTS.get(subshell, 0.0)  # M1 and M2 yield next to no photons
    if subshell in ("L1", "L2") and number < 80:
        constant *= -0.4814 + 0.03781 * number - 2.413e-4 * number**2
    return constant


def _self_absorption(
    target: Material, energy: float, angles_deg: tuple[float, float], energies: Floats, overvoltage: Floats
) -> Floats:
    """Part of the photons that leaves the target: constant generation down to twice the mean depth."""
    inward, outward = (math.sin(math.radians(angle)) for angle in angles_deg)
    depth = 2 * _mean_depth(target, energy, overvoltage) * inward / outward
    thickness = np.maximum(mass_photo_absorption(target, energies) * depth, 1e-12)
    return np.asarray(-np.expm1(-thickness) / thickness)


def _mean_depth(target: Material, energy: float, overvoltage: Floats) -> Floats:
    """Mean depth of photon generation, g/cm², equations 4 of Ebel 1999."""
    number = _mean(target, "Z")
    log_z = math.log(number)
    backscattered = 0.1904 - 0.2236 * log_z + 0.1292 * log_z**2 - 0.0149 * log_z**3
    backscattered *= energy ** (0.1382 - 0.9211 / math.sqrt(number))
    deepest = 0.787e-5 * math.sqrt(0.0135 * number) * energy**1.5 + 0.735e-6 * energy**2
    deepest *= _mean(target, "A") / number
    log_u = np.log(overvoltage)
    above = 0.49269 - 1.09870 * backscattered + 0.78557 * backscattered**2
    below = 0.70256 - 1.09865 * backscattered + 1.00460 * backscattered**2 + log_u
    return np.asarray(deepest * above / below * log_u)


def _mean(material: Material, quantity: Literal["Z", "A"]) -> float:
    """Atomic number or weight, averaged by weight."""
    total = 0.0
    for element, fraction in material.mass_fractions.items():
        number = atomic_number(element)
        total += fraction * (number if quantity == "Z" else xraylib.AtomicWeight(number))
    return total


def _anode(source: TubeSource) -> Material:
    return Material(source.anode, {source.anode: 1.0})


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
