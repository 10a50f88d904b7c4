"""The basis of 556 emission lines of "Privileged bases for X-ray fluorescence spectra".

García-Avello Bofías, Bombini, Ruberto & Taccetti, EasyChair preprint, December 2024: 41 elements of cultural
heritage, 25 lines of each, those up to 29.9 keV, by rising energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis

BASIS_ELEMENTS = (
    "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co",
    "Ni", "Cu", "Zn", "Ge", "As", "Br", "Sr", "Zr", "Mo", "Rh", "Pd", "Ag", "Cd", "Sn", "Sb", "Te", "Cs",
    "Ba", "Pt", "Au", "Hg", "Pb", "Bi",
)  # fmt: skip
BASIS_AXIS = EnergyAxis(0.0, 0.1, 300)
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
    """One line of the basis.

    Attributes
    ----------
    element
        Symbol.
    name
        ``"ka1"``.
    energy
        keV.
    """

    element: str
    name: str
    energy: float

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


def _energy(element: str, transition: str) -> float:
    try:
        return float(xraylib.LineEnergy(atomic_number(element), getattr(xraylib, f"{transition}_LINE")))
    except ValueError:
        return 0.0
