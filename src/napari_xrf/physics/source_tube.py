"""The spectrum that electrons make in a thick target, after Ebel: of X-ray tubes, and the continuum of SEMs.

Continuum: X-Ray Spectrom. 28 (1999) 255. K, L and M lines: the same, X-Ray Spectrom. 32 (2003) 46 and Adv.
X-ray Anal. 49 (2006) 267, with our yields and xraylib's rates.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import xraylib
from numpy.typing import ArrayLike

from napari_xrf.core.emission_lines import atomic_number, edge_energy, emission_lines
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import LOWEST_KEV, Floats, Layer, mass_photo_absorption, transmission
from napari_xrf.physics.vacancies import fluorescence_yield
from napari_xrf.reference.materials import Material

ANODES = ("Cr", "Cu", "Mo", "Rh", "Ag", "W")
BERYLLIUM = Material("beryllium", {"Be": 1.0}, 1.848)

_CONTINUUM = 1.35e9  # photons/(s·sr·mA·keV), Ebel 1999
# Ebel 2003 and 2006: photons/(s·sr·mA) of each subshell's lines; the K value depends on the overvoltage.
_CONSTANTS = {"L1": 0.71e13, "L2": 2.70e13, "L3": 4.94e13, "M3": 2.32e13, "M4": 15.8e13, "M5": 20.5e13}
# Electrons of a shell and Bethe's b in the stopping-power factor, Ebel 1999 (K), 2003 (L) and 2006 (M).
_SHELL_FACTORS = {"K": 2 * 0.35, "L": 8 * 0.25, "M": 1.2 * 0.7}


@dataclass(frozen=True)
class TubeSource:
    """An X-ray tube."""

    anode: str  # symbol of a pure element: ANODES are those that the tests cover
    voltage_kv: float  # 5 to 60 kV
    # incidence_deg, takeoff_deg: angles of the electrons and of the X-rays against the anode's surface, above
    # 0 up to 90.
    incidence_deg: float = 90.0
    takeoff_deg: float = 45.0
    window_be_um: float = 100.0  # thickness of the beryllium window, µm
    filters: tuple[Layer, ...] = ()  # further sheets in the beam
    # Thickness of an anode that X-rays leave at its back, µm; 0 for a solid one, which they leave in front.
    anode_um: float = 0.0

    def __post_init__(self) -> None:
        atomic_number(self.anode)
        if not 5 <= self.voltage_kv <= 60:
            raise InvalidInput(f"the tube voltage must be from 5 to 60 kV, not {self.voltage_kv}")
        for name, angle in (("incidence", self.incidence_deg), ("take-off", self.takeoff_deg)):
            if not 0 < angle <= 90:
                raise InvalidInput(f"the {name} angle on the anode must be above 0 up to 90°, not {angle}")
        for name, thickness in (("window", self.window_be_um), ("transmitting anode", self.anode_um)):
            if not (math.isfinite(thickness) and thickness >= 0):
                raise InvalidInput(f"the tube's {name} must be from 0 µm, not {thickness}")

    @property
    def highest_kev(self) -> float:
        """The highest photon energy, keV."""
        return self.voltage_kv


def tube_spectrum(source: TubeSource, energies: Floats) -> tuple[Floats, Floats, Floats]:
    """Return what leaves a tube behind its window and filters, the continuum at energies (C,) in keV.

    Returns ``continuum``: (C,) photons/(s·mA·sr·keV), ``line_energies``: (L,) keV, ``line_photons``: (L,)
    photons/(s·mA·sr).
    """
    sheets = list(source.filters)
    if source.window_be_um > 0:
        sheets.append(Layer(BERYLLIUM, source.window_be_um))
    continuum = np.zeros(energies.shape)
    inside = (energies >= LOWEST_KEV) & (energies < source.voltage_kv)
    at = energies[inside]
    made = generated_continuum(_anode(source), source.voltage_kv, at)
    leaving = made * _leaving_anode(source, at, source.voltage_kv / at)
    continuum[inside] = leaving * transmission(sheets, at)
    line_energies, line_photons = _tube_lines(source)
    return continuum, line_energies, line_photons * transmission(sheets, line_energies)


def thick_target_continuum(
    material: Material, energy_kev: float, angles_deg: tuple[float, float], energies_kev: ArrayLike
) -> Floats:
    """Return the continuum that electrons make in a thick target, photons/(s·mA·sr·keV).

    Ebel's law, its atomic number averaged by weight for compounds. Angles are those of electrons and X-rays
    against the surface; 0 is returned at photon energies, (E,), from the electrons' energy on.
    """
    energies = np.asarray(energies_kev, dtype=np.float64)
    photons = generated_continuum(material, energy_kev, energies)
    below = energies < energy_kev
    at = energies[below]
    photons[below] *= _self_absorption(material, energy_kev, angles_deg, at, energy_kev / at)
    return photons


def generated_continuum(material: Material, energy_kev: float, energies_kev: ArrayLike) -> Floats:
    """Return the continuum that electrons make in a thick target, before absorption, by Ebel's law."""
    energies = np.asarray(energies_kev, dtype=np.float64)
    number = _mean(material, "Z")
    exponent = 1.109 - 0.00435 * number + 0.00175 * energy_kev
    over = np.maximum(energy_kev / energies, 1.0)
    return np.asarray(_CONTINUUM * number * (over - 1) ** exponent)


def mean_depth(target: Material, energy: float, overvoltage: Floats) -> Floats:
    """Return the mean depth at which photons are made, g/cm², equations 4 of Ebel 1999."""
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


@cache
def _tube_lines(source: TubeSource) -> tuple[Floats, Floats]:
    energies, photons = [], []
    for line in emission_lines(source.anode):
        edge = edge_energy(source.anode, line.subshell)
        if 0 < edge < source.voltage_kv and line.energy >= LOWEST_KEV:
            ionised = _ionisation(source, line.subshell, edge)
            at = np.array([line.energy])
            over = np.array([source.voltage_kv / edge])
            escaping = _leaving_anode(source, at, over)[0]
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


def _leaving_anode(source: TubeSource, energies: Floats, overvoltage: Floats) -> Floats:
    """Part of the photons made in a thick anode that leaves the real one, at its front or at its back."""
    anode, angles = _anode(source), (source.incidence_deg, source.takeoff_deg)
    if not source.anode_um:
        return _self_absorption(anode, source.voltage_kv, angles, energies, overvoltage)
    inward, outward = (math.sin(math.radians(angle)) for angle in angles)
    thickness = 1e-4 * source.anode_um * xraylib.ElementDensity(atomic_number(source.anode))
    deepest = np.maximum(2 * mean_depth(anode, source.voltage_kv, overvoltage) * inward, 1e-9)
    # As many photons at each depth, down to twice the mean one or the back of the anode.
    made = np.minimum(deepest, thickness)
    absorption = mass_photo_absorption(anode, energies) / outward
    behind = np.exp(-absorption * (thickness - made))
    crossed = np.maximum(absorption * made, 1e-12)
    return np.asarray(behind * made / deepest * -np.expm1(-crossed) / crossed)


def _self_absorption(
    target: Material, energy: float, angles_deg: tuple[float, float], energies: Floats, overvoltage: Floats
) -> Floats:
    """Part of the photons that leaves the target: constant generation down to twice the mean depth."""
    inward, outward = (math.sin(math.radians(angle)) for angle in angles_deg)
    depth = 2 * mean_depth(target, energy, overvoltage) * inward / outward
    thickness = np.maximum(mass_photo_absorption(target, energies) * depth, 1e-12)
    return np.asarray(-np.expm1(-thickness) / thickness)


def _mean(material: Material, quantity: Literal["Z", "A"]) -> float:
    """Atomic number or weight, averaged by weight."""
    total = 0.0
    for element, fraction in material.mass_fractions.items():
        number = atomic_number(element)
        total += fraction * (number if quantity == "Z" else xraylib.AtomicWeight(number))
    return total


def _anode(source: TubeSource) -> Material:
    return Material(source.anode, {source.anode: 1.0})
