"""How often electrons ionise inner subshells: distorted-wave calculations, with a formula for each subshell.

D. Bote, F. Salvat, A. Jablonski, C. J. Powell, At. Data Nucl. Data Tables 95 (2009) 871.
"""

from functools import cache

import numpy as np

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.physics.attenuation import Floats
from napari_xrf.reference.tables import read_table, shipped

_BOHR_RADIUS_CM = 5.29177211e-9
_LARGEST_OVER = 16.0  # the formula holds up to it; above, cross-sections fall as ln(U) / U (Bethe)


def ionisation_cross_section(element: str, subshell: str, overvoltages: Floats) -> Floats:
    """Return the cross-section for ionising a subshell by electrons, cm² per atom.

    Parameters
    ----------
    element, subshell
        ``"Fe"``, ``"L3"``.
    overvoltages
        Energies of the electrons over that of the edge, of any shape; 0 is returned up to 1.

    The published coefficients are given for some elements. Between them, at the same overvoltage, the
    logarithm of the cross-section is linear in that of the atomic number; outside, the nearest slope goes on.
    """
    over = np.maximum(np.asarray(overvoltages, dtype=np.float64), 1.0)
    numbers, coefficients = _coefficients(subshell)
    target = np.log(atomic_number(element))
    right = int(np.clip(np.searchsorted(numbers, target), 1, len(numbers) - 1))
    low, high = (_published(coefficients[k], over) for k in (right - 1, right))
    share = (target - numbers[right - 1]) / (numbers[right] - numbers[right - 1])
    return np.asarray(low ** (1 - share) * high**share)


def _published(coefficients: Floats, over: Floats) -> Floats:
    at = np.minimum(over, _LARGEST_OVER)
    a1, a2, a3, a4, a5 = coefficients
    shape = a1 + a2 * at + a3 / (1 + at) + a4 / (1 + at) ** 3 + a5 / (1 + at) ** 5
    value = 4 * np.pi * _BOHR_RADIUS_CM**2 * (at - 1) / at**2 * shape**2
    beyond = (np.log(over) / over) / (np.log(_LARGEST_OVER) / _LARGEST_OVER)
    return np.asarray(value * np.where(over > _LARGEST_OVER, beyond, 1.0))


@cache
def _coefficients(subshell: str) -> tuple[Floats, Floats]:
    """Logarithms of the atomic numbers of a subshell's rows, (N,), and the coefficients, (N, 5)."""
    rows = [row for _, row in read_table(shipped("electron_ionisation.csv")) if row["subshell"] == subshell]
    numbers = np.log([atomic_number(row["element"]) for row in rows])
    return numbers, np.array([[float(row[f"a{k}"]) for k in range(1, 6)] for row in rows])
