"""Least squares with amplitudes that are not negative, from normal equations.

Block principal pivoting (L. F. Portugal, J. J. Júdice and L. N. Vicente, Math. Comput. 63 (1994) 625): all
amplitudes of the wrong sign change sides at once, which takes a few solutions of equations where a method
that lets one column in after another takes one for each. With numpy alone, as a new process has it at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TRIES = 3  # exchanges of all at once that may not lessen what is wrong, before single ones
_TOLERANCE = 1e-12
_RIDGE = 1e-10


def solve_bounded(
    normal: NDArray[np.float64], onto: NDArray[np.float64], free: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Minimise xᵀNx - 2bᵀx over x ≥ 0.

    Parameters
    ----------
    normal, onto
        N (K, K), positive definite, best with a diagonal near 1, and b (K,).
    free
        (K,) where to begin: which amplitudes are above 0; None for all.
    """
    free = np.ones(onto.size, dtype=bool) if free is None else free.copy()
    fewest, tries = onto.size + 1, _TRIES
    least = _TOLERANCE * float(np.abs(onto).max(initial=0.0))
    solution = np.zeros(onto.size)
    for _ in range(100 * (onto.size + 1)):
        solution[:] = 0
        solution[free] = np.linalg.solve(normal[free][:, free], onto[free])
        (wrong,) = np.where(free, solution < 0, onto - normal @ solution > least).nonzero()
        if not wrong.size:
            break
        if wrong.size < fewest:
            fewest, tries = wrong.size, _TRIES
        else:
            tries -= 1
        changed = wrong if tries > 0 else wrong[-1:]  # one by one it must end (K. G. Murty, 1974)
        free[changed] = ~free[changed]
    return np.maximum(solution, 0.0)


def fit_bounded(columns: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise |Ax - b|² over x ≥ 0, for A (M, K) and b (M,)."""
    scale = 1 / np.sqrt(np.maximum((columns**2).sum(axis=0), 1e-300))
    scaled = columns * scale
    normal = scaled.T @ scaled
    normal.flat[:: scale.size + 1] += _RIDGE
    return solve_bounded(normal, values @ scaled) * scale
