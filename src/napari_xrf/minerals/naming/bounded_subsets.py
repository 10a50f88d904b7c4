"""Least squares over subsets of some columns, in compiled loops: naming tries thousands of small ones."""

import numpy as np

from napari_xrf.core.compiled_code import compiled

_MOST_STEPS = 3  # for each column
_TOLERANCE, _TINY = 1e-12, 1e-300


@compiled()
def solve_subset(normal, onto, rows):  # type: ignore[no-untyped-def]
    """Minimise xᵀNx - 2bᵀx over x ≥ 0, of ``rows`` (K,) of N (M, M) alone; return x (K,) and the least value.

    Columns are let in one by one (C. L. Lawson and R. J. Hanson, Solving least squares problems, 1974,
    chapter 23): few of many are above 0. :mod:`~napari_xrf.maps.spectra.non_negative` does it without a
    compiler.
    """
    number = rows.size
    solution, barred = np.zeros(number), np.zeros(number, dtype=np.int64)
    inside, chosen, free = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64), 0
    least = 0.0
    for place in range(number):
        least = max(least, _TOLERANCE * abs(onto[rows[place]]))
    for _ in range(_MOST_STEPS * number):
        best, most = -1, least
        for place in range(number):
            if barred[place] > 0 or solution[place] > 0:
                continue
            gain = onto[rows[place]]
            for other in range(free):
                gain -= normal[rows[place], rows[inside[other]]] * solution[inside[other]]
            if gain > most:
                best, most = place, gain
        if best < 0:
            break
        inside[free] = best
        free += 1
        while free:
            for place in range(free):
                chosen[place] = rows[inside[place]]
            wanted = _solve(normal, onto, chosen[:free])
            part = 1.0
            for place in range(free):
                if wanted[place] <= 0:
                    now = solution[inside[place]]
                    part = min(part, now / (now - wanted[place] + _TINY))
            kept = 0
            for place in range(free):
                column, now = inside[place], solution[inside[place]]
                stays = wanted[place] > 0 or now / (now - wanted[place] + _TINY) > part
                solution[column] = now + part * (wanted[place] - now) if stays else 0.0
                if stays:
                    inside[kept] = column
                    kept += 1
            if kept == free:
                break
            free = kept
        # What falls to 0 at once was let in by rounding.
        if solution[best] > 0:
            for place in range(number):
                barred[place] = 0
        else:
            barred[best] = 1
    value = 0.0
    for place in range(free):
        one = inside[place]
        value -= 2 * onto[rows[one]] * solution[one]
        for other in inside[:free]:
            value += normal[rows[one], rows[other]] * solution[one] * solution[other]
    return solution, value


@compiled()
def _solve(normal, onto, rows):  # type: ignore[no-untyped-def]
    """Solve positive definite equations by Cholesky's decomposition."""
    size = rows.size
    root, result = np.empty((size, size)), np.empty(size)
    for row in range(size):
        for column in range(row + 1):
            left = normal[rows[row], rows[column]]
            for inner in range(column):
                left -= root[row, inner] * root[column, inner]
            root[row, column] = np.sqrt(max(left, 1e-14)) if row == column else left / root[column, column]
        value = onto[rows[row]]
        for inner in range(row):
            value -= root[row, inner] * result[inner]
        result[row] = value / root[row, row]
    for row in range(size - 1, -1, -1):
        for below in range(row + 1, size):
            result[row] -= root[below, row] * result[below]
        result[row] /= root[row, row]
    return result
