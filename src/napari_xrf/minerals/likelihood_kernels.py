"""Compiled loops over pixels of :mod:`.likelihood`; imported only when pixels are classified."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.energy_bins import EnergyBins

STEPS_OF_FIT = 12
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
    evidence, misfit, factors,
):  # fmt: skip
    """Fit each pixel by each of its candidates; see :func:`napari_xrf.minerals.likelihood.fit_candidates`.

    Fills ``evidence``, ``misfit`` and ``factors``, (n, K) each.
    """
    size = counts.shape[1]
    for pixel in numba.prange(counts.shape[0]):
        expected = np.empty(size)
        for candidate in range(first.shape[1]):
            one, two = first[pixel, candidate], second[pixel, candidate]
            amounts = _fit(counts[pixel], lines[one], lines[two], continuum[one], floor, expected)
            deviance, mean, variance = _deviance(
                counts[pixel], expected, tolerance, level, log_means, means, variances
            )
            factor = _continuum_factor(amounts, lines[one], lines[two], continuum[one])
            evidence[pixel, candidate] = -0.5 * (deviance + (np.log(factor) / spread) ** 2)
            misfit[pixel, candidate] = (deviance - mean) / np.sqrt(max(variance, 1.0))
            factors[pixel, candidate] = factor


@numba.njit(nogil=True, cache=True, fastmath=True)
def _fit(counts, one, two, rest, floor, expected):  # type: ignore[no-untyped-def]
    """Poisson maximum likelihood of non-negative amounts by expectation maximisation (Richardson, Lucy)."""
    total = counts.sum()
    level = floor * total / counts.size
    sums = (one.sum(), two.sum(), rest.sum())
    amounts = np.array((0.5 * total, 0.5 * total, total))
    for _ in range(STEPS_OF_FIT):
        gain_one = gain_two = gain_rest = 0.0
        for index in range(counts.size):
            mean = amounts[0] * one[index] + amounts[1] * two[index] + amounts[2] * rest[index] + level
            ratio = counts[index] / max(mean, _TINY)
            gain_one += ratio * one[index]
            gain_two += ratio * two[index]
            gain_rest += ratio * rest[index]
        amounts[0] *= gain_one / max(sums[0], _TINY)
        amounts[1] *= gain_two / max(sums[1], _TINY)
        amounts[2] *= gain_rest / max(sums[2], _TINY)
    for index in range(counts.size):
        expected[index] = amounts[0] * one[index] + amounts[1] * two[index] + amounts[2] * rest[index] + level
    return amounts


@numba.njit(nogil=True, cache=True)
def _continuum_factor(amounts, one, two, rest):  # type: ignore[no-untyped-def]
    """How many times the expected continuum is there, within 1/30 to 30; 1 where lines do not show."""
    expected_lines = amounts[0] + amounts[1]
    if max(one.sum(), two.sum()) < 0.01 or rest.sum() < 0.01:
        return 1.0
    return min(max(amounts[2] / max(expected_lines, _TINY), 1 / 30), 30.0)


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


def binned_counts(block: NDArray[np.generic], bins: EnergyBins) -> NDArray[np.float32]:
    """Return spectra (n, E) summed into bins, (n, B) float32."""
    binned = np.empty((block.shape[0], bins.size), dtype=np.float32)
    sum_channels(block, bins.starts, bins.stops, binned)
    return binned
