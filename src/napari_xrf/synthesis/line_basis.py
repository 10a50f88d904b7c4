"""What the layers recipe looks up: light of tubes, attenuation, and a basis of 556 emission lines.

The basis is that of "Privileged bases for X-ray fluorescence spectra", García-Avello Bofías, Bombini, Ruberto
& Taccetti, EasyChair preprint, December 2024: 41 elements of cultural heritage, 25 lines of each, those up to
29.9 keV, by rising energy.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.attenuation import AIR, mass_attenuation
from napari_xrf.physics.source import TubeSource, source_spectrum
from napari_xrf.reference.materials import Material

BASIS_ELEMENTS = (
    "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co",
    "Ni", "Cu", "Zn", "Ge", "As", "Br", "Sr", "Zr", "Mo", "Rh", "Pd", "Ag", "Cd", "Sn", "Sb", "Te", "Cs",
    "Ba", "Pt", "Au", "Hg", "Pb", "Bi",
)  # fmt: skip
BASIS_AXIS = EnergyAxis(0.0, 0.1, 300)
ANODES = ("Mo", "W", "Rh")
VOLTAGE_KV = 30.0
ANGLES_DEG = (30.0, 60.0)
FILTERS = ("Al", "Cu", "Ti")
_ANGLE_STEP = 5.0
_DENSITIES = {"Be": 1.848, "Al": 2.699, "Cu": 8.96, "Ti": 4.54, "air": 1.205e-3}  # g/cm³, ICRU 37
_LOWEST = 1  # the bin at 0 keV holds no photon
# The paper's names and the transitions they stand for, each a single one.
TRANSITIONS = MappingProxyType(
    {
        "ka1": "KL3", "ka2": "KL2", "ka3": "KL1", "kb1": "KM3", "kb2": "KN3", "kb3": "KM2", "kb4": "KN5",
        "kb5": "KM5", "la1": "L3M5", "la2": "L3M4", "lb1": "L2M4", "lb2": "L3N5", "lb3": "L1M3",
        "lb4": "L1M2", "lb5": "L3O45", "lg1": "L2N4", "lg2": "L1N2", "lg3": "L1N3", "lg4": "L1O3",
        "ll": "L3M1", "ln": "L2M1", "ma1": "M5N7", "ma2": "M5N6", "mb": "M4N6", "mg": "M3N5",
    }
)  # fmt: skip


@dataclass(frozen=True)
class BasisLine:
    """One line of the basis."""

    element: str  # symbol
    name: str  # "ka1"
    energy: float  # keV

    @property
    def label(self) -> str:
        """``"Fe ka1"``."""
        return f"{self.element} {self.name}"


@cache
def line_basis() -> tuple[BasisLine, ...]:
    """Return the 556 lines by rising energy."""
    top = float(BASIS_AXIS.energies[-1])
    lines = [
        BasisLine(element, name, energy)
        for element in BASIS_ELEMENTS
        for name, transition in TRANSITIONS.items()
        if 0 < (energy := _energy(element, transition)) <= top
    ]
    return tuple(sorted(lines, key=lambda line: line.energy))


@cache
def line_elements() -> NDArray[np.int32]:
    """Return the position in :data:`BASIS_ELEMENTS` of each line's element, (556,); read-only."""
    positions = np.array([BASIS_ELEMENTS.index(line.element) for line in line_basis()], dtype=np.int32)
    positions.flags.writeable = False
    return positions


@cache
def line_cross_sections() -> NDArray[np.float32]:
    """Return the fluorescence cross-sections (556, 300) in cm²/g at the energies of the axis; read-only.

    xraylib's Kissel cross-sections without cascade; 0 below an edge, and where its tables hold nothing.
    """
    table = np.zeros((len(line_basis()), BASIS_AXIS.size), dtype=np.float32)
    for row, line in enumerate(line_basis()):
        number = atomic_number(line.element)
        macro = getattr(xraylib, f"{TRANSITIONS[line.name]}_LINE")
        for column, energy in enumerate(BASIS_AXIS.energies):
            try:
                table[row, column] = xraylib.CS_FluorLine_Kissel(number, macro, float(energy))
            except ValueError:  # no such line, or an energy outside the tables
                continue
    table.flags.writeable = False
    return table


@dataclass(frozen=True, eq=False)
class TubeSettings:
    """Settings of N tubes."""

    anode: NDArray[np.int64]  # (N,) position in ANODES
    angle: NDArray[np.float64]  # (N,) take-off angle, 30 to 60°
    # beryllium_mm, air_mm: (N,) window and path
    beryllium_mm: NDArray[np.float64]
    air_mm: NDArray[np.float64]
    filters_mm: NDArray[np.float64]  # (N, 3) thickness of each of FILTERS


def tube_light(settings: TubeSettings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the continuum and the anode's lines, (N, 300) each, in photons per bin up to a factor."""
    angles = np.arange(ANGLES_DEG[0], ANGLES_DEG[1] + _ANGLE_STEP, _ANGLE_STEP)
    position = np.clip((settings.angle - angles[0]) / _ANGLE_STEP, 0, len(angles) - 1)
    left = np.minimum(position.astype(int), len(angles) - 2)
    part = (position - left)[:, np.newaxis].astype(np.float32)
    bare_continuum, bare_lines = _bare_tubes()
    opacity = (
        np.concatenate(
            [settings.beryllium_mm[:, np.newaxis], settings.air_mm[:, np.newaxis], settings.filters_mm],
            axis=1,
        ).astype(np.float32)
        @ _opacities()
    )
    passed = np.exp(-opacity)
    return tuple(  # type: ignore[return-value]
        passed * ((1 - part) * bare[settings.anode, left] + part * bare[settings.anode, left + 1])
        for bare in (bare_continuum, bare_lines)
    )


def air_transmission(air_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the transmission (N, 300) of paths through air."""
    return np.exp(-air_mm.astype(np.float32)[:, np.newaxis] * _opacities()[1])


@cache
def element_attenuation(elements: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the mass attenuation coefficients (K, 300) of elements, cm²/g; read-only."""
    table = np.zeros((len(elements), BASIS_AXIS.size), dtype=np.float32)
    for row, element in enumerate(elements):
        table[row, _LOWEST:] = mass_attenuation(
            Material(element, {element: 1.0}), BASIS_AXIS.energies[_LOWEST:]
        )
    table[:, 0] = table[:, _LOWEST]
    table.flags.writeable = False
    return table


def _energy(element: str, transition: str) -> float:
    try:
        return float(xraylib.LineEnergy(atomic_number(element), getattr(xraylib, f"{transition}_LINE")))
    except ValueError:
        return 0.0


@cache
def _bare_tubes() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(3 anodes, A angles, 300) continuum and lines without window."""
    angles = np.arange(ANGLES_DEG[0], ANGLES_DEG[1] + _ANGLE_STEP, _ANGLE_STEP)
    shape = (len(ANODES), len(angles), BASIS_AXIS.size)
    continuum, lines = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    energies = BASIS_AXIS.energies[_LOWEST:]
    for row, anode in enumerate(ANODES):
        for column, angle in enumerate(angles):
            tube = TubeSource(anode, VOLTAGE_KV, takeoff_deg=float(angle), window_be_um=0.0)
            light = source_spectrum(tube, energies)
            continuum[row, column, _LOWEST:] = light.continuum_photons * BASIS_AXIS.width
            channels = BASIS_AXIS.channel(light.line_energies)
            inside = (channels >= _LOWEST) & (channels < BASIS_AXIS.size)
            np.add.at(lines[row, column], channels[inside], light.line_photons[inside])
    return continuum, lines


@cache
def _opacities() -> NDArray[np.float32]:
    """Attenuation (5, 300) per mm of beryllium, air and the filters."""
    attenuation = element_attenuation(("Be", *FILTERS))
    per_mm = [attenuation[0] * (_DENSITIES["Be"] * 0.1)]
    air = np.zeros(BASIS_AXIS.size, dtype=np.float32)
    air[_LOWEST:] = mass_attenuation(AIR, BASIS_AXIS.energies[_LOWEST:])
    air[0] = air[_LOWEST]
    per_mm.append(air * np.float32(_DENSITIES["air"] * 0.1))
    per_mm += [attenuation[1 + row] * (_DENSITIES[name] * 0.1) for row, name in enumerate(FILTERS)]
    return np.array(per_mm, dtype=np.float32)
