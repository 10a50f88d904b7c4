"""Cross-sections of mixtures on energy grids, straight from xraylib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import xraylib
from numpy.typing import NDArray

LOWEST_KEV = 0.1  # xraylib's tables begin here


@cache
def atomic_number(element: str) -> int:
    return int(xraylib.SymbolToAtomicNumber(element))


def formula_fractions(formula: str) -> dict[str, float]:
    """Return the weight fractions of a formula."""
    parsed = xraylib.CompoundParser(formula)
    return {
        xraylib.AtomicNumberToSymbol(number): fraction
        for number, fraction in zip(parsed["Elements"], parsed["massFractions"], strict=True)
    }


def mixed_fractions(parts: Mapping[str, float]) -> dict[str, float]:
    """Return the weight fractions of formulas mixed by weight, in parts of any sum."""
    total = sum(parts.values())
    mixed: dict[str, float] = {}
    for formula, part in parts.items():
        for element, fraction in formula_fractions(formula).items():
            mixed[element] = mixed.get(element, 0.0) + part / total * fraction
    return mixed


def attenuation(fractions: Mapping[str, float], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mass attenuation coefficient of a mixture, cm²/g; below 0.1 keV that at 0.1 keV."""
    return _mixed(xraylib.CS_Total, fractions, energies)


def photoabsorption(fractions: Mapping[str, float], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the photoelectric mass absorption coefficient of a mixture, cm²/g."""
    return _mixed(xraylib.CS_Photo, fractions, energies)


def scattered(
    fractions: Mapping[str, float], energies: NDArray[np.float64], angle_deg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the differential cross-sections of Rayleigh and Compton scattering, cm²/g/sr."""
    angle = float(np.deg2rad(angle_deg))

    def rayleigh(number: int, energy: float) -> float:
        """With each atom's anomalous dispersion: 8 to 15 % more at 20 keV than form factors say."""
        form = xraylib.FF_Rayl(number, xraylib.MomentTransf(energy, angle))
        amplitude = complex(form + xraylib.Fi(number, energy), xraylib.Fii(number, energy))
        return float(xraylib.DCS_Rayl(number, energy, angle)) * abs(amplitude) ** 2 / form**2

    return (
        _mixed(rayleigh, fractions, energies),
        _mixed(lambda number, energy: xraylib.DCS_Compt(number, energy, angle), fractions, energies),
    )


def transmission(
    fractions: Mapping[str, float], density: float, thickness_cm: float, energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the part of photons that cross a foil or a gas."""
    return np.exp(-attenuation(fractions, energies) * density * thickness_cm)


def _mixed(
    section: Callable[[int, float], Any], fractions: Mapping[str, float], energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    grid = np.maximum(np.asarray(energies, dtype=np.float64), LOWEST_KEV)
    total = np.zeros(grid.shape)
    for element, fraction in fractions.items():
        number = atomic_number(element)
        total += fraction * np.array([section(number, float(energy)) for energy in grid])
    return total
