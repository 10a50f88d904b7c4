"""Elements, lines and grid of the published set of layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number
from numpy.typing import NDArray

ELEMENTS = (
    "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co",
    "Ni", "Cu", "Zn", "Ge", "As", "Br", "Sr", "Zr", "Mo", "Rh", "Pd", "Ag", "Cd", "Sn", "Sb", "Te", "Cs",
    "Ba", "Pt", "Au", "Hg", "Pb", "Bi",
)  # fmt: skip
NAMES = (
    "ka1", "ka2", "ka3", "kb1", "kb2", "kb3", "kb4", "kb5", "la1", "la2", "lb1", "lb2", "lb3", "lb4", "lb5",
    "lg1", "lg2", "lg3", "lg4", "ll", "ln", "ma1", "ma2", "mb", "mg",
)  # fmt: skip
COUNTS = 30_000
GRID = np.round(0.1 * np.arange(300), 1)  # keV


@cache
def lines() -> tuple[tuple[str, str, float], ...]:
    """Return element, name and energy of the 556 lines by rising energy."""
    energies = line_energies()
    found = [
        (element, name, float(energies[row, column]))
        for row, element in enumerate(ELEMENTS)
        for column, name in enumerate(NAMES)
        if 0 < energies[row, column] <= GRID[-1]
    ]
    return tuple(sorted(found, key=lambda line: line[2]))


@cache
def line_energies() -> NDArray[np.float64]:
    """Return the energies (41, 25) in keV, 0 where an element lacks a line; read-only."""
    table = np.zeros((len(ELEMENTS), len(NAMES)))
    for row, element in enumerate(ELEMENTS):
        for column, name in enumerate(NAMES):
            table[row, column] = or_zero(xraylib.LineEnergy, atomic_number(element), line_macro(name))
    table.flags.writeable = False
    return table


def line_macro(name: str) -> int:
    return int(getattr(xraylib, f"{name.upper().replace('LN', 'LE')}_LINE"))  # xraylib spells η as E


def or_zero(function: Any, *arguments: Any) -> float:
    try:
        return float(function(*arguments))
    except ValueError:  # xraylib holds no such line, or it is not excited
        return 0.0
