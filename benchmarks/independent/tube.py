"""Photons of an X-ray tube from textbook formulas: Kramers' continuum and lines by overvoltage.

Kramers, Phil. Mag. 46 (1923) 836, with absorption in the anode at a mean depth of a quarter of the range of
Kanaya & Okayama (J. Phys. D 5 (1972) 43); lines by Green & Cosslett (J. Phys. D 1 (1968) 425).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, attenuation
from numpy.typing import NDArray

_KRAMERS = 2.8e-6  # photons per electron, keV and unit of Z: an efficiency of 1.4e-9 per Z and volt
_GREEN_COSSLETT = 9.535e4
_SHELLS = {"K": (0,), "L": (1, 2, 3)}  # xraylib's numbers
_LINES = {
    0: ("KL3", "KL2", "KM3", "KM2", "KN3", "KN2"),
    1: ("L1M3", "L1M2", "L1N3"),
    2: ("L2M4", "L2N4", "L2M1"),
    3: ("L3M5", "L3M4", "L3N5", "L3M1", "L3N4"),
}


@dataclass(frozen=True, eq=False)
class TubePhotons:
    """Photons per electron, in one arbitrary unit for both.

    Attributes
    ----------
    continuum
        Per keV, at the energies asked for.
    line_energies, line_photons
        The anode's lines.
    """

    continuum: NDArray[np.float64]
    line_energies: NDArray[np.float64]
    line_photons: NDArray[np.float64]


def tube_photons(
    anode: str, voltage_kv: float, takeoff_deg: float, energies: NDArray[np.float64]
) -> TubePhotons:
    """Return what leaves a thick anode, before any window."""
    number = atomic_number(anode)
    continuum = _KRAMERS * number * np.clip(voltage_kv / np.maximum(energies, 0.05) - 1, 0, None)
    lines: list[tuple[float, float]] = []
    for family, shells in _SHELLS.items():
        for shell in shells:
            lines += _shell_lines(number, family, shell, voltage_kv)
    line_energies, line_photons = (np.array(column) for column in zip(*lines, strict=True))
    return TubePhotons(
        continuum * _escaping(anode, voltage_kv, takeoff_deg, energies),
        line_energies,
        line_photons * _escaping(anode, voltage_kv, takeoff_deg, line_energies),
    )


def _escaping(
    anode: str, voltage_kv: float, takeoff_deg: float, energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    number = atomic_number(anode)
    mass_range = 2.76e-6 * xraylib.AtomicWeight(number) * voltage_kv**1.67 / number**0.889  # g/cm²
    crossed = attenuation({anode: 1.0}, energies) * 0.25 * mass_range / np.sin(np.deg2rad(takeoff_deg))
    # Photons are made over a range of depths, not at one.
    return 1 / (1 + crossed)


def _shell_lines(number: int, family: str, shell: int, voltage_kv: float) -> list[tuple[float, float]]:
    overvoltage = voltage_kv / xraylib.EdgeEnergy(number, shell)
    if overvoltage <= 1:
        return []
    # Bethe's stopping factor of Green & Cosslett, 2.8e5 to 6e5 eV² cm²/g from Z = 10 to 79.
    stopping = np.interp(number, (10, 79), (2.8e5, 6.0e5))
    backscatter = 0.8
    ionised = _GREEN_COSSLETT * backscatter / (xraylib.AtomicWeight(number) * stopping)
    # L ionisations are four times as many as K ones, half of them of L3.
    weight = 1.0 if family == "K" else 4.0 * (0.25, 0.25, 0.5)[shell - 1]
    photons = weight * ionised * (overvoltage - 1) ** 1.67 * xraylib.FluorYield(number, shell)
    found = []
    for name in _LINES[shell]:
        macro = getattr(xraylib, f"{name}_LINE")
        try:
            found.append((xraylib.LineEnergy(number, macro), photons * xraylib.RadRate(number, macro)))
        except ValueError:  # no such line
            continue
    return found


def photons_in_bins(
    tube: TubePhotons, edges: NDArray[np.float64], passed: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return continuum and lines per bin after ``passed["continuum"]`` and ``passed["lines"]`` of them."""
    continuum = tube.continuum * passed["continuum"] * np.diff(edges)
    lines, _ = np.histogram(tube.line_energies, edges, weights=tube.line_photons * passed["lines"])
    return continuum, lines
