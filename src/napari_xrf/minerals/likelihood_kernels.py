"""Compiled loops over pixels of :mod:`.likelihood`; imported only when pixels are classified."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.templates import EnergyBins

STEPS_OF_FIT = 6
SWEEPS = 60
_TINY = 1e-12


@numba.njit(parallel=True, nogil=True, cache=True, fastmath=True)
def sum_channels(counts, starts, stops, binned):  # type: ignore[no-untyped-def]
    """Sum ``counts`` (n, E) into ``binned`` (n, B) float32 by runs of channels."""
    for pixel in numba.prange(counts.shape[0]):
        for index in range(starts.size):
            total = 0.0
            for channel in range(starts[index], stops[index]):
                total += counts[pixel, channel]
            binned[pixel, index] = total


@numba.njit(parallel=True, nogil=True, cache=True)
def fit_candidates(  # type: ignore[no-untyped-def]
    counts, first, second, lines, continuum, floor, spread, tolerance, level, log_means, means, variances,
    evidence, misfit,
):  # fmt: skip
    """Fit each pixel by each of its candidates; see :meth:`napari_xrf.minerals.likelihood.Likelihood.fit`.

    Fills ``evidence`` and ``misfit``, (n, K) each.
    """
    size = counts.shape[1]
    for pixel in numba.prange(counts.shape[0]):
        expected = np.empty(size)
        for candidate in range(first.shape[1]):
            one, two = first[pixel, candidate], second[pixel, candidate]
            amounts = _fit(counts[pixel], lines[one], lines[two], continuum[one], floor, tolerance, expected)
            deviance, mean, variance = _deviance(
                counts[pixel], expected, tolerance, level, log_means, means, variances
            )
            factor = _continuum_factor(amounts, continuum[one].sum(), continuum[two].sum())
            evidence[pixel, candidate] = -0.5 * (deviance + (np.log(factor) / spread) ** 2)
            misfit[pixel, candidate] = (deviance - mean) / np.sqrt(max(variance, 1.0))


@numba.njit(nogil=True, cache=True)
def _fit(counts, one, two, rest, floor, tolerance, expected):  # type: ignore[no-untyped-def]
    """Maximum likelihood of non-negative amounts by Fisher scoring: reweighted least squares.

    The weights are the inverse variances of the last expectation, ``µ + (tolerance·µ)²``.
    """
    total = counts.sum()
    level = floor * total / counts.size
    amounts = np.array((0.5 * total, 0.5 * total, total))
    normal, right = np.empty((3, 3)), np.empty(3)
    for step in range(STEPS_OF_FIT + 1):
        normal[:] = right[:] = 0.0
        for index in range(counts.size):
            x, y, z = one[index], two[index], rest[index]
            mean = amounts[0] * x + amounts[1] * y + amounts[2] * z + level
            expected[index] = mean
            weight = 1.0 / max(mean + (tolerance[index] * mean) ** 2, _TINY)
            missing = weight * (counts[index] - level)
            right[0] += x * missing
            right[1] += y * missing
            right[2] += z * missing
            normal[0, 0] += weight * x * x
            normal[0, 1] += weight * x * y
            normal[0, 2] += weight * x * z
            normal[1, 1] += weight * y * y
            normal[1, 2] += weight * y * z
            normal[2, 2] += weight * z * z
        if step < STEPS_OF_FIT:
            solution = _solve(normal, right)
            # A start far away may send the first step past the goal.
            amounts = solution if step > 0 else 0.5 * (amounts + solution)
    return amounts


@numba.njit(nogil=True, cache=True)
def _solve(normal, right):  # type: ignore[no-untyped-def]
    """Non-negative least squares of three columns: the best of all sets of columns without a negative one."""
    best, best_gain = np.zeros(3), 0.0
    ridge = 1e-9 * (normal[0, 0] + normal[1, 1] + normal[2, 2]) + _TINY
    for chosen in range(1, 8):
        size = 0
        members = np.empty(3, np.int64)
        for column in range(3):
            if chosen >> column & 1:
                members[size] = column
                size += 1
        part, target = np.empty((size, size)), np.empty(size)
        for row in range(size):
            target[row] = right[members[row]]
            for column in range(size):
                low, high = min(members[row], members[column]), max(members[row], members[column])
                part[row, column] = normal[low, high]
            part[row, row] += ridge
        solved = _eliminate(part, target)
        if solved.min() < 0:
            continue
        gain = 0.0
        for row in range(size):
            gain += solved[row] * right[members[row]]
        if gain > best_gain:
            best_gain = gain
            best[:] = 0.0
            for row in range(size):
                best[members[row]] = solved[row]
    return best


@numba.njit(nogil=True, cache=True)
def _eliminate(matrix, target):  # type: ignore[no-untyped-def]
    """Solve a small positive definite system; both arguments are overwritten."""
    size = target.size
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = matrix[row, pivot] / matrix[pivot, pivot]
            for column in range(pivot, size):
                matrix[row, column] -= factor * matrix[pivot, column]
            target[row] -= factor * target[pivot]
    for row in range(size - 1, -1, -1):
        for column in range(row + 1, size):
            target[row] -= matrix[row, column] * target[column]
        target[row] /= matrix[row, row]
    return target


@numba.njit(nogil=True, cache=True)
def _continuum_factor(amounts, one, two):  # type: ignore[no-untyped-def]
    """How many times the expected continuum is there, within 1/30 to 30; 1 where next to none is expected.

    ``one`` and ``two`` are the shares of continuum in the compositions; the rest of each is lines.
    """
    if min(one, 1 - one) < 0.01:
        return 1.0
    expected = amounts[0] * one + amounts[1] * two
    return min(max(amounts[2] * one / max(expected, _TINY), 1 / 30), 30.0)


@numba.njit(nogil=True, cache=True)
def _deviance(counts, expected, tolerance, level, log_means, means, variances):  # type: ignore[no-untyped-def]
    """Negative-binomial deviance, and its mean and variance if ``expected`` is the truth."""
    deviance = mean = variance = 0.0
    step = log_means[1] - log_means[0]
    for index in range(counts.size):
        observed, hoped = counts[index], max(expected[index], _TINY)
        shape = 1.0 / tolerance[index] ** 2
        if observed > 0:
            deviance += observed * np.log(observed / hoped)
        deviance -= (observed + shape) * np.log((observed + shape) / (hoped + shape))
        position = min(max((np.log(hoped) - log_means[0]) / step, 0.0), log_means.size - 1.001)
        left, row = int(position), level[index]
        part = position - left
        mean += means[row, left] * (1 - part) + means[row, left + 1] * part
        variance += variances[row, left] * (1 - part) + variances[row, left + 1] * part
    return 2 * deviance, mean, variance


@numba.njit(parallel=True, nogil=True, cache=True)
def fit_mixtures(  # type: ignore[no-untyped-def]
    counts, columns, floor, tolerance, level, log_means, means, variances, deviances, misfit, amounts
):
    """Fit each pixel by a non-negative mixture of all ``columns`` (K, B); fills the last three arguments."""
    for pixel in numba.prange(counts.shape[0]):
        expected = np.empty(counts.shape[1])
        own = counts[pixel]
        background = floor * own.sum() / own.size
        shares = np.full(columns.shape[0], own.sum() / columns.shape[0])
        for _ in range(STEPS_OF_FIT):
            _mix(shares, columns, background, expected)
            normal, right = _normal_equations(own, columns, background, tolerance, expected)
            _descend(normal, right, shares)
        _mix(shares, columns, background, expected)
        deviance, mean, variance = _deviance(own, expected, tolerance, level, log_means, means, variances)
        deviances[pixel] = deviance
        misfit[pixel] = (deviance - mean) / np.sqrt(max(variance, 1.0))
        amounts[pixel] = shares


@numba.njit(nogil=True, cache=True)
def _mix(shares, columns, background, expected):  # type: ignore[no-untyped-def]
    expected[:] = background
    for column in range(columns.shape[0]):
        if shares[column] > 0:
            expected += shares[column] * columns[column]


@numba.njit(nogil=True, cache=True)
def _normal_equations(counts, columns, background, tolerance, expected):  # type: ignore[no-untyped-def]
    weight = 1.0 / np.maximum(expected + (tolerance * expected) ** 2, _TINY)
    weighted = columns * weight
    return weighted @ columns.T, weighted @ (counts - background)


@numba.njit(nogil=True, cache=True)
def _descend(normal, right, shares):  # type: ignore[no-untyped-def]
    """Non-negative least squares by coordinate descent from ``shares``, in place."""
    gradient = right - normal @ shares
    for _ in range(SWEEPS):
        for column in range(shares.size):
            change = gradient[column] / max(normal[column, column], _TINY)
            change = max(change, -shares[column])
            if change != 0.0:
                shares[column] += change
                gradient -= change * normal[column]


def binned_counts(block: NDArray[np.generic], bins: EnergyBins) -> NDArray[np.float32]:
    """Return spectra (n, E) summed into bins, (n, B) float32."""
    binned = np.empty((block.shape[0], bins.size), dtype=np.float32)
    sum_channels(block, bins.starts, bins.stops, binned)
    return binned
