"""X-rays that electrons make in a thick sample: lines by Bethe's cross-section, continuum by Kramers.

Ionisation and stopping by Bethe (constants of Powell, Rev. Mod. Phys. 48 (1976) 33, and Joy & Luo,
Scanning 11 (1989) 176), absorption by Philibert and Heinrich (in Heinrich, Electron Beam X-Ray
Microanalysis, 1981), backscattering by Love and Scott (J. Phys. D 11 (1978) 1369), yields and ratios of
lines from xraylib. What lines and continuum excite further comes from planes at the mean depth of each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, attenuation
from numpy.typing import NDArray
from scipy.special import exp1

_AVOGADRO = 6.022e23
_KRAMERS = 2.8e-6  # photons per electron, keV and unit of Z
_BINS, _LEAST_KEV = 80, 0.5  # of the continuum that excites lines
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)  # of the depths above a plane
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
    made = [
        (energy, photons, edge, element, macro)
        for element, fraction in fractions.items()
        for energy, photons, edge, macro in _lines(element, fraction, fractions, voltage_kv)
    ]
    at, generated, edges = (np.array([each[k] for each in made], dtype=np.float64) for k in range(3))
    leaving = np.array(
        [
            photons * _escaping(fractions, voltage_kv, edge, takeoff_deg, np.array([energy]))[0]
            for energy, photons, edge in zip(at, generated, edges, strict=True)
        ]
    )
    mean = sum(fraction * atomic_number(element) for element, fraction in fractions.items())

    def kramers(kev: NDArray[np.float64]) -> NDArray[np.float64]:
        return _KRAMERS * mean * np.clip(voltage_kv / np.maximum(kev, 0.05) - 1, 0, None)

    bins = np.linspace(_LEAST_KEV, voltage_kv, _BINS, endpoint=False) + (voltage_kv - _LEAST_KEV) / _BINS / 2
    exciting = np.concatenate([at, bins])
    sources = np.concatenate([generated, kramers(bins) * (voltage_kv - _LEAST_KEV) / _BINS])
    depths = _mean_depth(fractions, voltage_kv, np.concatenate([edges, bins]))
    emitted = [(energy, element, macro) for energy, _, _, element, macro in made]
    leaving = leaving + _excited_further(fractions, takeoff_deg, emitted, exciting, sources, depths)
    continuum = kramers(energies)
    continuum = continuum * _escaping(fractions, voltage_kv, energies, takeoff_deg, energies)
    return (
        at,
        leaving,
        [element for _, _, _, element, _ in made],
        continuum,
    )


def _lines(
    element: str, fraction: float, fractions: Mapping[str, float], voltage_kv: float
) -> list[tuple[float, float, float, int]]:
    """Return energy, photons that are made, edge and xraylib's number of an element's lines."""
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
        vacancies *= _kept(fractions, voltage_kv, edge)
        for name in names:
            macro = getattr(xraylib, f"{name}_LINE")
            try:
                energy, share = xraylib.LineEnergy(number, macro), xraylib.RadRate(number, macro)
            except ValueError:  # no such line
                continue
            found.append((energy, vacancies * fluorescence * share, edge, macro))
    return found


def _kept(fractions: Mapping[str, float], voltage_kv: float, edge: float) -> float:
    """Return the part of the ionisations that backscattering leaves."""
    number = sum(fraction * atomic_number(element) for element, fraction in fractions.items())
    at_20 = 1e-4 * (-52.3791 + 150.48371 * number - 1.67373 * number**2 + 0.00716 * number**3)
    slope = 1e-4 * (-1112.8 + 30.289 * number - 0.15498 * number**2)
    back = at_20 * (1 + slope * np.log(voltage_kv / 20))
    log_u = np.log(voltage_kv / edge)
    first = 0.33148 * log_u + 0.05596 * log_u**2 - 0.06339 * log_u**3 + 0.00947 * log_u**4
    second = 2.87898 * log_u - 1.51307 * log_u**2 + 0.81312 * log_u**3 - 0.08241 * log_u**4
    return float(1 - back * max(first + back * second * edge / voltage_kv, 0.0) ** 1.67)


def _excited_further(
    fractions: Mapping[str, float],
    takeoff_deg: float,
    lines: list[tuple[float, str, int]],
    exciting: NDArray[np.float64],
    sources: NDArray[np.float64],
    depths: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the photons of lines (energy, element, number) that X-rays from planes excite and that leave."""
    inner = attenuation(fractions, exciting)
    out = attenuation(fractions, np.array([each[0] for each in lines])) / np.sin(np.deg2rad(takeoff_deg))
    share = 0.5 * (_NODES + 1)
    found = []
    for (_, element, macro), chi in zip(lines, out, strict=True):
        section = np.array([_fluorescence(element, macro, energy) for energy in exciting])
        below = np.exp(-chi * depths) * np.log1p(chi / inner) / chi
        way = depths[:, None] * share**2  # denser beside the plane
        above = exp1(inner[:, None] * way) * np.exp(-chi * (depths[:, None] - way))
        above = (above * depths[:, None] * share * _WEIGHTS).sum(axis=1)
        found.append(0.5 * fractions[element] * float((sources * section * (below + above)).sum()))
    return np.array(found)


def _fluorescence(element: str, macro: int, energy: float) -> float:
    """Return xraylib's cross-section of a line, cm²/g; 0 where the energy does not excite it."""
    try:
        return float(xraylib.CS_FluorLine(atomic_number(element), macro, float(energy)))
    except ValueError:
        return 0.0


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
    sigma, loose = _philibert(fractions, voltage_kv, edge)
    crossed = attenuation(fractions, energies) / np.sin(np.deg2rad(takeoff_deg)) / sigma
    return 1 / ((1 + crossed) * (1 + loose * crossed))


def _mean_depth(
    fractions: Mapping[str, float], voltage_kv: float, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean depth at which electrons make X-rays, g/cm²."""
    sigma, loose = _philibert(fractions, voltage_kv, edges)
    return np.asarray((1 + loose) / sigma)


def _philibert(
    fractions: Mapping[str, float], voltage_kv: float, edge: float | NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return Heinrich's σ, cm²/g, and h/(1 + h)."""
    sigma = 4.5e5 / np.maximum(voltage_kv**1.65 - np.asarray(edge) ** 1.65, 1e-3)
    loose = sum(
        fraction * 1.2 * xraylib.AtomicWeight(atomic_number(element)) / atomic_number(element) ** 2
        for element, fraction in fractions.items()
    )
    return sigma, loose / (1 + loose)
