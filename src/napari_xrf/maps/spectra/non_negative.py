"""Least squares with amplitudes that are not negative, from normal equations.

Block principal pivoting (L. F. Portugal, J. J. Júdice and L. N. Vicente, Math. Comput. 63 (1994) 625): all
amplitudes of the wrong sign change sides at once, which takes a few solutions of equations where a method
that lets one column in after another takes one for each. Where columns are many and alike, sides change
to and fro without end; there columns are let in one by one (C. L. Lawson and R. J. Hanson, Solving least
squares problems, 1974, chapter 23). With numpy alone, as a new process has it at once.
"""

import numpy as np
from numpy.typing import NDArray

_TRIES = 3  # exchanges of all at once that may not lessen what is wrong
_MOST_STEPS = 3  # for each column
_TOLERANCE, _TINY = 1e-12, 1e-300
_RIDGE = 1e-10


def solve_bounded(
    normal: NDArray[np.float64], onto: NDArray[np.float64], free: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Minimise xᵀNx - 2bᵀx over x ≥ 0.

    ``normal``, ``onto``: N (K, K), positive definite, best with a diagonal near 1, and b (K,). ``free``: (K,)
    where to begin: which amplitudes are above 0; None for all.
    """
    free = np.ones(onto.size, dtype=bool) if free is None else free.copy()
    fewest, tries = onto.size + 1, _TRIES
    least = _TOLERANCE * float(np.abs(onto).max(initial=0.0))
    solution = np.zeros(onto.size)
    while tries > 0:
        solution[:] = 0
        solution[free] = np.linalg.solve(normal[free][:, free], onto[free])
        wrong = np.where(free, solution < 0, onto - normal @ solution > least)
        number = int(np.count_nonzero(wrong))
        if not number:
            return np.maximum(solution, 0.0)
        tries = _TRIES if number < fewest else tries - 1
        fewest = min(fewest, number)
        free ^= wrong
    return _let_in_one_by_one(normal, onto, least)


def _let_in_one_by_one(
    normal: NDArray[np.float64], onto: NDArray[np.float64], least: float
) -> NDArray[np.float64]:
    """Return x (K,): each step lets in the column that lessens the sum most, and out what falls to 0."""
    solution = np.zeros(onto.size)
    free = np.zeros(onto.size, dtype=bool)
    barred = free.copy()  # let in by rounding: they fell to 0 at once
    for _ in range(_MOST_STEPS * onto.size):
        gain = np.where(free | barred, -np.inf, onto - normal @ solution)
        best = int(gain.argmax())
        if not gain[best] > least:
            break
        free[best] = True
        while free.any():
            (inside,) = free.nonzero()
            wanted = np.linalg.solve(normal[inside[:, None], inside], onto[inside])
            below = wanted <= 0
            if not below.any():
                solution[inside] = wanted
                break
            way = solution[inside][below] / (solution[inside][below] - wanted[below] + _TINY)
            solution[inside] += way.min() * (wanted - solution[inside])
            out = inside[below][way <= way.min()]
            solution[out], free[out] = 0.0, False
        barred[:] &= not free[best]
        barred[best] = not free[best]
    return solution


def fit_bounded(columns: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise |Ax - b|² over x ≥ 0, for A (M, K) and b (M,)."""
    scale = 1 / np.sqrt(np.maximum((columns**2).sum(axis=0), 1e-300))
    scaled = columns * scale
    normal = scaled.T @ scaled
    normal.flat[:: scale.size + 1] += _RIDGE
    return solve_bounded(normal, values @ scaled) * scale
