"""How vacancies of inner subshells move outward, and how often they radiate.

K: xraylib's yields. L and M: the relativistic Dirac-Hartree-Slater theory of Chen, Crasemann and Mark in
``subshell_yields.csv``, where it has values; the reasons are in docs/physics.md. Vacancies that pass from
shell to shell, by radiation or Auger electrons, and line rates: xraylib.
"""

from functools import cache

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.reference.tables import read_table, shipped

SUBSHELLS = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")

_SAFE_KEV = 190.0  # above every edge of xraylib's tables


def fluorescence_yield(element: str, subshell: str) -> float:
    """Return the part of a subshell's vacancies that a photon fills, 0 where there is none."""
    if (value := _tabulated(element, subshell)) is not None:
        return value
    try:
        return float(xraylib.FluorYield(atomic_number(element), getattr(xraylib, f"{subshell}_SHELL")))
    except ValueError:
        return 0.0


@cache
def photons_per_vacancy(element: str) -> NDArray[np.float64]:
    """Return the fluorescence photons of each subshell per vacancy made in each, (9, 9), read-only.

    Row: subshell that radiates; column: subshell first ionised, both as in :data:`SUBSHELLS`.
    """
    moves = np.zeros((len(SUBSHELLS), len(SUBSHELLS)))
    for target in range(1, len(SUBSHELLS)):
        for origin in range(target):
            moves[target, origin] = _moving(element, origin, target)
    # Vacancies n = made + moves·n, solved for what was made.
    vacancies = np.linalg.inv(np.eye(len(SUBSHELLS)) - moves)
    yields = np.array([fluorescence_yield(element, subshell) for subshell in SUBSHELLS])
    photons = np.asarray(yields[:, None] * vacancies)
    photons.flags.writeable = False
    return photons


def _moving(element: str, origin: int, target: int) -> float:
    """Vacancies that one vacancy in an inner subshell leaves directly in another."""
    inner, outer = SUBSHELLS[origin], SUBSHELLS[target]
    value = _tabulated(element, f"{inner}-{outer}") if inner[0] == outer[0] else None
    return _xraylib_moving(atomic_number(element), origin, target) if value is None else value


@cache
def _xraylib_moving(number: int, origin: int, target: int) -> float:
    # xraylib adds what inner vacancies pass on to photo-ionisation: linear, so the difference is one's part.
    nothing = _cascade(number, target, None)
    one = 0.0 if nothing is None else _cascade(number, target, origin)
    return 0.0 if nothing is None or one is None else one - nothing


@cache
def _cascade(number: int, target: int, origin: int | None) -> float | None:
    vacancies = [0.0] * target
    if origin is not None:
        vacancies[origin] = 1.0
    try:
        return float(
            getattr(xraylib, f"P{SUBSHELLS[target]}_full_cascade_kissel")(number, _SAFE_KEV, *vacancies)
        )
    except ValueError:
        return None


def _tabulated(element: str, what: str) -> float | None:
    text = _table().get(element, {}).get(what.lower(), "")
    return float(text) if text else None


@cache
def _table() -> dict[str, dict[str, str]]:
    return {row["element"]: row for _, row in read_table(shipped("subshell_yields.csv"))}
