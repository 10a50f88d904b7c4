"""What photons that are scattered more than once add to Rayleigh and Compton peaks, by Monte Carlo.

    python -m benchmarks.repeated_scattering --photons 100000

Photons of one energy on a thick sample, by xraylib's differential cross-sections; each collision sends what
would reach the detector there, which is counted as Rayleigh where none was Compton-scattered. Printed over
what is scattered once: both peaks, and the Compton peak within 1.8 % of the energy of a single one.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, formula_fractions
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ELECTRON_KEV, _COLLISIONS, _LOWEST, _ENERGIES = 510.999, 8, 0.7, 31
_ANGLES = np.radians(np.maximum(np.arange(181.0), 0.5))
_IN_PEAK = 0.018
CASES = [(f, e) for e in (8.0, 12.0, 20.17) for f in ("SiO2", "CaCO3", "Fe2O3", "C6H10O5")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photons", type=int, default=100_000)
    number = parser.parse_args().photons
    print("| sample | keV | Rayleigh | Compton | its peak |")
    print("|---|---|---|---|---|")
    for formula, kev in CASES:
        rayleigh, compton, peak = repeated(formula, kev, number, np.random.default_rng(1))
        print(f"| {formula} | {kev:g} | {rayleigh:.3f} | {compton:.3f} | {peak:.3f} |")


def repeated(
    formula: str, kev: float, number: int, generator: np.random.Generator, angle_deg: float = 50.0
) -> tuple[float, float, float]:
    """Return all that is scattered over what is once: Rayleigh, Compton, and in the Compton peak.

    Beam and detector stand at one angle to the surface, and at right angles around its normal.
    """
    grid = np.linspace(_LOWEST * kev, kev, _ENERGIES)
    sections = _Sections(formula, grid)
    sine, cosine = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    ways, out = np.tile((cosine, 0.0, sine), (number, 1)), np.array((0.0, cosine, -sine))
    energies, weights, depths = np.full(number, kev), np.ones(number), np.zeros(number)
    shifted = np.zeros(number, bool)
    single = kev / (1 + kev / _ELECTRON_KEV * (1 - out @ ways[0]))
    found = np.zeros((2, 3))  # once, and again: Rayleigh, Compton, its peak
    for collision in range(_COLLISIONS):
        total = np.interp(energies, grid, sections.total)
        leaving = depths / np.maximum(-ways[:, 2], 1e-9)
        stopped = np.where(ways[:, 2] < 0, -np.expm1(-total * leaving), 1.0)
        depths = depths - ways[:, 2] * np.log1p(-generator.random(number) * stopped) / total
        weights = weights * stopped
        turned = np.arccos(np.clip(ways @ out, -1, 1))
        after = energies / (1 + energies / _ELECTRON_KEV * (1 - np.cos(turned)))
        for kind, seen in enumerate((energies, after)):
            part = weights * sections.differential(kind, energies, turned) / total
            part = part * np.exp(-np.interp(seen, grid, sections.total) * depths / sine)
            compton = shifted | bool(kind)
            near = compton & (np.abs(seen - single) < _IN_PEAK * kev)
            found[min(collision, 1)] += [part[~compton].sum(), part[compton].sum(), part[near].sum()]
        coherent, incoherent = (np.interp(energies, grid, own) for own in sections.whole)
        weights = weights * (coherent + incoherent) / total
        kinds = generator.random(number) < incoherent / (coherent + incoherent)
        turned = sections.turn(kinds, energies, generator)
        energies = np.where(kinds, energies / (1 + energies / _ELECTRON_KEV * (1 - np.cos(turned))), energies)
        shifted, ways = shifted | kinds, _turned(ways, turned, generator)
    rayleigh, compton_part, peak = 1 + found[1] / found[0]
    return float(rayleigh), float(compton_part), float(peak)


class _Sections:
    """Cross-sections of a formula, cm²/g, on a grid of energies."""

    def __init__(self, formula: str, grid: Array) -> None:
        parts = [(atomic_number(e), part) for e, part in formula_fractions(formula).items()]

        def mixed(section: Callable[..., float], *where: float) -> float:
            return sum(part * section(number, *where) for number, part in parts)

        self.grid = grid
        self.total = np.array([mixed(xraylib.CS_Total, e) for e in grid])
        self.whole = [np.array([mixed(s, e) for e in grid]) for s in (xraylib.CS_Rayl, xraylib.CS_Compt)]
        self._by_angle = [
            np.array([[mixed(section, e, angle) for angle in _ANGLES] for e in grid])
            for section in (xraylib.DCS_Rayl, xraylib.DCS_Compt)
        ]
        self._up_to = [np.cumsum(own * np.sin(_ANGLES), axis=1) for own in self._by_angle]

    def _row(self, energies: Array) -> NDArray[np.intp]:
        places = np.interp(energies, self.grid, np.arange(self.grid.size))
        return np.rint(places).astype(np.intp)

    def differential(self, kind: int, energies: Array, turned: Array) -> Array:
        """Return the cross-sections per steradian by Rayleigh (0) or Compton (1) scattering."""
        return np.asarray(self._by_angle[kind][self._row(energies), np.rint(np.degrees(turned)).astype(int)])

    def turn(self, kinds: NDArray[np.bool_], energies: Array, generator: np.random.Generator) -> Array:
        """Return the angles by which photons turn, by Compton where ``kinds``."""
        rows, drawn, turned = self._row(energies), generator.random(energies.size), np.zeros(energies.size)
        for row in np.unique(rows):
            for kind in (0, 1):
                own = (rows == row) & (kinds == bool(kind))
                summed = self._up_to[kind][row]
                turned[own] = np.interp(drawn[own], summed / summed[-1], _ANGLES)
        return turned


def _turned(ways: Array, angles: Array, generator: np.random.Generator) -> Array:
    """Return directions turned by angles, any way around."""
    beside = np.where(np.abs(ways[:, 2:]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    first = np.cross(ways, beside)
    first /= np.linalg.norm(first, axis=1)[:, None]
    around = generator.random(angles.size) * 2 * np.pi
    aside = np.cos(around)[:, None] * first + np.sin(around)[:, None] * np.cross(ways, first)
    return np.asarray(np.cos(angles)[:, None] * ways + np.sin(angles)[:, None] * aside)


if __name__ == "__main__":
    main()
