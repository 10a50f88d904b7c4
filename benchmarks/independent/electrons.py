"""X-rays that electrons make in a thick sample: lines by Bethe's cross-section, continuum by Kramers.

Ionisation and stopping by Bethe (constants of Powell, Rev. Mod. Phys. 48 (1976) 33, and Joy & Luo,
Scanning 11 (1989) 176), absorption by Philibert and Heinrich (in Heinrich, Electron Beam X-Ray
Microanalysis, 1981), yields and ratios of lines from xraylib. Backscattering and fluorescence are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, attenuation
from numpy.typing import NDArray

_AVOGADRO = 6.022e23
_KRAMERS = 2.8e-6  # photons per electron, keV and unit of Z
# Of each shell: xraylib's number, electrons, Bethe's constant b, and the transitions from it.
_SHELLS = (
    (0, 2, 0.9, ("KL3", "KL2", "KM3", "KM2", "KN3", "KN2")),
    (1, 2, 0.62, ("L1M3", "L1M2", "L1N3", "L1N2")),
    (2, 2, 0.62, ("L2M4", "L2N4", "L2M1")),
    (3, 4, 0.62, ("L3M5", "L3M4", "L3N5", "L3M1", "L3N4", "L3N1")),
    (6, 4, 0.6, ("M3N5", "M3N4")),
    (7, 4, 0.6, ("M4N6", "M4O2", "M4N3", "M4N2")),
    (8, 6, 0.6, ("M5N7", "M5N6", "M5N3")),
)


def electron_photons(
    fractions: Mapping[str, float], voltage_kv: float, takeoff_deg: float, energies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str], NDArray[np.float64]]:
    """Return energies, photons and elements of the lines, and the continuum per keV at energies.

    Photons are those that leave the sample per electron, in all directions.
    """
    lines = [
        (energy, photons, element)
        for element, fraction in fractions.items()
        for energy, photons, edge in _lines(element, fraction, fractions, voltage_kv)
        for photons in (photons * _escaping(fractions, voltage_kv, edge, takeoff_deg, np.array([energy]))[0],)
    ]
    mean = sum(fraction * atomic_number(element) for element, fraction in fractions.items())
    continuum = _KRAMERS * mean * np.clip(voltage_kv / np.maximum(energies, 0.05) - 1, 0, None)
    continuum = continuum * _escaping(fractions, voltage_kv, energies, takeoff_deg, energies)
    return (
        np.array([energy for energy, _, _ in lines]),
        np.array([photons for _, photons, _ in lines]),
        [element for _, _, element in lines],
        continuum,
    )


def _lines(
    element: str, fraction: float, fractions: Mapping[str, float], voltage_kv: float
) -> list[tuple[float, float, float]]:
    """Return energy, photons and edge of an element's lines."""
    number = atomic_number(element)
    found = []
    for shell, electrons, bethe, names in _SHELLS:
        try:
            edge, fluorescence = xraylib.EdgeEnergy(number, shell), xraylib.FluorYield(number, shell)
        except ValueError:  # no such shell
            continue
        if not 0.09 < edge < voltage_kv:
            continue
        electron = np.linspace(edge, voltage_kv, 200)
        section = 6.51e-20 * electrons * bethe / (electron * edge) * np.log(electron / edge)
        ionised = np.trapezoid(section / _stopping(fractions, electron), electron)
        vacancies = fraction * _AVOGADRO / xraylib.AtomicWeight(number) * ionised
        for name in names:
            macro = getattr(xraylib, f"{name}_LINE")
            try:
                energy, share = xraylib.LineEnergy(number, macro), xraylib.RadRate(number, macro)
            except ValueError:  # no such line
                continue
            found.append((energy, vacancies * fluorescence * share, edge))
    return found


def _stopping(fractions: Mapping[str, float], energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what an electron loses, keV cm²/g."""
    total = np.zeros(energy.shape)
    for element, fraction in fractions.items():
        number = atomic_number(element)
        mean = 1e-3 * (9.76 * number + 58.5 * number**-0.19) if number > 12 else 0.0115 * number
        total += (
            fraction
            * 7.85e4
            * number
            / (xraylib.AtomicWeight(number) * energy)
            * np.log(1.166 * (energy + 0.8 * mean) / mean)
        )
    return total


def _escaping(
    fractions: Mapping[str, float],
    voltage_kv: float,
    edge: float | NDArray[np.float64],
    takeoff_deg: float,
    energies: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the part of photons that leave a sample, after Philibert and Heinrich."""
    sigma = 4.5e5 / np.maximum(voltage_kv**1.65 - np.asarray(edge) ** 1.65, 1e-3)
    loose = sum(
        fraction * 1.2 * xraylib.AtomicWeight(atomic_number(element)) / atomic_number(element) ** 2
        for element, fraction in fractions.items()
    )
    crossed = attenuation(fractions, energies) / np.sin(np.deg2rad(takeoff_deg)) / sigma
    return 1 / ((1 + crossed) * (1 + loose / (1 + loose) * crossed))
