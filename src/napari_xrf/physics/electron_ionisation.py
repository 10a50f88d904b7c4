"""How often electrons ionise inner shells, and how those vacancies move and radiate."""

from __future__ import annotations

from functools import cache

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.physics.attenuation import SUBSHELLS, Floats

_BOHR_RADIUS_CM = 5.29177211e-9
_RYDBERG_KEV = 0.0136056931
_ELECTRON_REST_KEV = 510.99895
_ELECTRONS = {"K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6}
# Casnati's formula is for K. These factors bring its L and M subshells to the relativistic Born calculations
# of Bote et al. (2009) for Fe, As, W, Pb and Pu at 2 to 8 times the edge, within 25 %.
_SUBSHELL_FACTORS = {"L2": 1.18, "L3": 1.18, "M4": 1.3, "M5": 1.3}
_SAFE_KEV = 190.0  # above every edge of xraylib's tables


def ionisation_cross_section(subshell: str, edge_kev: float, energies_kev: Floats) -> Floats:
    """Return the cross-section for ionising a subshell by electrons, cm² per atom.

    The empirical formula of E. Casnati, A. Tartari and C. Baraldi, J. Phys. B 15 (1982) 155, scaled for L and
    M subshells to D. Bote et al., At. Data Nucl. Data Tables 95 (2009) 871.

    Parameters
    ----------
    subshell
        ``"K"``, ``"L3"`` …
    edge_kev
        Its binding energy.
    energies_kev
        Of the electrons, any shape; 0 is returned below the edge.
    """
    over = np.maximum(energies_kev / edge_kev, 1.0)
    rest = _ELECTRON_REST_KEV / edge_kev
    shape = 10.57 * np.exp(-1.736 / over + 0.317 / over**2)
    depth = (edge_kev / _RYDBERG_KEV) ** (-0.0318 + 0.3160 / over - 0.1135 / over**2)
    relativistic = (1 + 2 * rest) / (over + 2 * rest) * ((over + rest) / (1 + rest)) ** 2
    kinetic = over * (over + 2 * rest) * (1 + rest) ** 2
    relativistic *= ((1 + over) * kinetic / over / (rest**2 * (1 + 2 * rest) + kinetic)) ** 1.5
    size = _BOHR_RADIUS_CM**2 * (_RYDBERG_KEV / edge_kev) ** 2 * np.log(over) / over
    electrons = _ELECTRONS[subshell] * _SUBSHELL_FACTORS.get(subshell, 1.0)
    return np.asarray(electrons * relativistic * shape * depth * size)


@cache
def photons_per_vacancy(element: str) -> NDArray[np.float64]:
    """Return the fluorescence photons of each subshell per vacancy made in each, (9, 9), read-only.

    Row: subshell that radiates; column: subshell first ionised. Coster-Kronig, Auger and radiative
    transitions move vacancies outward, with xraylib's probabilities.
    """
    number = atomic_number(element)
    moves = np.zeros((len(SUBSHELLS), len(SUBSHELLS)))
    for target, subshell in enumerate(SUBSHELLS[1:], start=1):
        for origin in range(target):
            moves[target, origin] = _passed_on(number, subshell, target, origin)
    # Vacancies n = made + moves·n, solved for what was made.
    vacancies = np.linalg.inv(np.eye(len(SUBSHELLS)) - moves)
    yields = np.array([_yield(number, subshell) for subshell in SUBSHELLS])
    photons = np.asarray(yields[:, None] * vacancies)
    photons.flags.writeable = False
    return photons


def _passed_on(number: int, subshell: str, target: int, origin: int) -> float:
    """Vacancies that one vacancy in an inner subshell leaves directly in another."""
    inner = [0.0] * min(target, len(SUBSHELLS))
    function = getattr(xraylib, f"P{subshell}_full_cascade_kissel")
    try:
        nothing = function(number, _SAFE_KEV, *inner)
        inner[origin] = 1.0
        return float(function(number, _SAFE_KEV, *inner) - nothing)
    except ValueError:
        return 0.0


def _yield(number: int, subshell: str) -> float:
    try:
        return float(xraylib.FluorYield(number, getattr(xraylib, f"{subshell}_SHELL")))
    except ValueError:
        return 0.0
